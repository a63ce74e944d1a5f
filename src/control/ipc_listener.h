/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A listening UNIX socket, with its file, directory and mode. Control thread. */

#include "base/err.h"

struct ipc_listener;

/*
 * Creates missing directories of `path` (mode 0755), refuses a live socket there (-EADDRINUSE),
 * replaces a dead one, and listens. The file never has more permissions than 0660. If it is in
 * a directory of another user, a warning is logged: refusing it could break a host that has always
 * done so.
 */
int ipc_listener_new(struct ipc_listener **ret_listener, const char *path, struct err *err);

/* The file descriptor; the listener keeps owning it. */
int ipc_listener_fd(const struct ipc_listener *listener);

/* Gives up ownership of the file descriptor: somebody else closes it. */
void ipc_listener_give_fd(struct ipc_listener *listener);

/*
 * Removes the file unless another one has taken its place, and closes the descriptor if still
 * owned.
 */
struct ipc_listener *ipc_listener_free(struct ipc_listener *listener);
