/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"

/*
 * 0 if somebody listens on the socket, or a negative errno: -ECONNREFUSED if it is a socket on
 * which nobody listens, -ENOENT if there is none, -ENAMETOOLONG... Does not wait for the other
 * side.
 */
int unix_socket_probe(const char *path);

/*
 * Frees `path` for a listening socket. A file that a dead process left is removed. A socket on
 * which somebody listens and a file that is not a socket are left alone and refused (-EADDRINUSE,
 * -EEXIST). Creates nothing.
 */
int unix_socket_claim(const char *path, struct err *err);
