/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A listening UNIX socket with its file, directory and mode. Control thread. */

#include "base/err.h"

struct ipc_listener;

/*
 * Makes the directory of `path` where it is missing (0755, and those above it), refuses a live
 * socket there (-EADDRINUSE), replaces a dead one, and listens. The file never has more permissions
 * than 0660.
 */
int ipc_listener_new(struct ipc_listener **ret_listener, const char *path, struct err *err);

/* The file descriptor; still the listener's. */
int ipc_listener_fd(const struct ipc_listener *listener);

/* Somebody else closes the file descriptor from now on. */
void ipc_listener_give_fd(struct ipc_listener *listener);

/* Removes the file, unless another one has taken its place, and closes what is still ours. */
struct ipc_listener *ipc_listener_free(struct ipc_listener *listener);
