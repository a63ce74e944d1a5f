/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <linux/limits.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * The file that says which process the daemon is, and whose lock says that there is one. It is open
 * and locked as long as the daemon runs, so a file that a killed daemon left is in nobody's way.
 */
struct pid_file {
	int fd; /* -1: none */
	char path[PATH_MAX];
};

/*
 * Opens and locks <dir>/virtio-forwarder.pid, before the process daemonizes. If another daemon has
 * it, fails with -EBUSY; the error names that daemon's pid.
 */
int pid_file_take(struct pid_file *file, const char *dir, struct err *err);

/* Writes the calling process's pid into it. */
int pid_file_write(struct pid_file *file, struct err *err);

/* Removes the file and unlocks it. */
void pid_file_release(struct pid_file *file);

/*
 * True if a daemon has <dir>/virtio-forwarder.pid, as far as this process may open the file. It
 * locks the file for a moment: a daemon that starts at that moment may be told that another one is
 * running.
 */
bool pid_file_is_taken(const char *dir);
