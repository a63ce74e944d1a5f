/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"

/*
 * Makes `path` free for a listening socket: the file that a dead process left is removed; a socket
 * that somebody listens on, and a file that is no socket, are left alone and refused (-EADDRINUSE,
 * -EEXIST). Does not create anything. May block for the time of a local connect().
 */
int unix_socket_claim(const char *path, struct err *err);
