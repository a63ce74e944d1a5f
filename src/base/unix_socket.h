/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"

/*
 * 0 where somebody listens on the socket, or a negative errno: -ECONNREFUSED where it is a socket
 * that nobody listens on, -ENOENT where there is none, -ENAMETOOLONG... Does not wait for the other
 * side.
 */
int unix_socket_probe(const char *path);

/*
 * Makes `path` free for a listening socket: the file that a dead process left is removed; a socket
 * that somebody listens on, and a file that is no socket, are left alone and refused (-EADDRINUSE,
 * -EEXIST). Does not create anything.
 */
int unix_socket_claim(const char *path, struct err *err);
