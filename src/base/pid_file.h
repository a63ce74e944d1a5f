/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <linux/limits.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * The file that says which process the daemon is, and by its lock that there is one. Kept open and
 * locked as long as the daemon runs, so a file that a killed daemon left is in nobody's way.
 */
struct pid_file {
	int fd; /* -1: none */
	char path[PATH_MAX];
};

/*
 * Takes <dir>/virtio-forwarder.pid, before the process daemonizes. Fails with -EBUSY and the pid of
 * the daemon that has it.
 */
int pid_file_take(struct pid_file *file, const char *dir, struct err *err);

/* Writes the calling process's pid into it. */
int pid_file_write(struct pid_file *file, struct err *err);

/* Removes and unlocks the file. */
void pid_file_release(struct pid_file *file);

/*
 * True where a daemon has <dir>/virtio-forwarder.pid, as far as this process may open it. Where
 * none has, one that starts just then may be told that there is: this locks the file for a moment.
 */
bool pid_file_is_taken(const char *dir);
