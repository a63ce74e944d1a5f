/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"

/*
 * Goes into the background: a child in a session of its own goes on, with the root as its
 * directory. The process that was started waits for it and ends with exit code 0 once it is ready,
 * or with 1 and the child's complaint, so whoever started it knows. Before any thread is made.
 */
struct daemonize {
	int ready_fd; /* -1: in the foreground */
};

/* Returns in the child only. */
int daemonize_start(struct daemonize *daemonize, struct err *err);

/* The daemon is ready: lets the parent go and detaches from its terminal. */
void daemonize_ready(struct daemonize *daemonize);
