/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/file_id.h"

/*
 * Connects to a socket, without waiting for the other side. Returns a descriptor (non-blocking,
 * closed by exec), which the caller owns, or a negative errno: -EAGAIN if somebody listens but the
 * queue is full, -ECONNREFUSED if it is a socket on which nobody listens, -ENOENT if there is none,
 * -ENAMETOOLONG... Any thread.
 */
int unix_socket_connect(const char *path);

/* The same, only to learn whether somebody listens: 0, also if the queue is full. */
int unix_socket_probe(const char *path);

/*
 * Makes a socket that is bound to `path` but does not listen yet; its file has mode 0660, whatever
 * the umask, and this owner and group ((uid_t)-1, (gid_t)-1: those of the process). A socket file
 * that a dead process left is replaced. A socket on which somebody listens and a file that is not a
 * socket are left alone and refused (-EADDRINUSE, -EEXIST). Whoever may write to the directory can
 * put something else in place of the new file at any time: that is refused too (-EPERM), and no
 * other file gets the mode or the owner.
 *
 * Returns the descriptor (non-blocking, closed by exec), which the caller owns, or a negative
 * errno. Any thread; does not block.
 */
int unix_socket_bind(
	const char *path, uid_t uid, gid_t gid, struct file_id *ret_file, struct err *err);

/* Removes the file that unix_socket_bind() made, unless another one has taken its name. */
void unix_socket_remove(const char *path, const struct file_id *file);

/*
 * Refuses (-EPERM) a socket in a directory of another user (directory_check_owner()), who can
 * listen in place of this process. -ENOENT if there is no such directory. Any thread.
 */
int unix_socket_check_directory(const char *path, struct err *err);
