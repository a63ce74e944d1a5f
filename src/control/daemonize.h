/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"

/*
 * Goes into the background: a child continues in a session of its own, with / as its working
 * directory. The original process waits until the child is ready and exits with 0; if the child
 * dies before that, it exits with 1, and the child has printed the reason. A SIGTERM or SIGINT to
 * the waiting process ends the child, and then that process. Must be called before any thread is
 * created, with both signals blocked.
 */
struct daemonize {
	int ready_fd; /* -1: in the foreground */
};

/* Returns in the child only. */
int daemonize_start(struct daemonize *daemonize, struct err *err);

/*
 * The daemon is ready: releases the parent, and redirects stdin, stdout and stderr to /dev/null.
 * Does nothing in the foreground.
 */
void daemonize_ready(struct daemonize *daemonize);
