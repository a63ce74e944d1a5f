/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Clients that connect when the process has no file descriptor left. libzmq aborts the process if
 * accept4() fails with EMFILE, and the listening socket stays readable meanwhile. So the program
 * defines its own accept4(), which replaces the C library's for libzmq too. It keeps one descriptor
 * in reserve, accepts such a client with it and closes the connection at once (the call returns -1,
 * ECONNABORTED). Any thread.
 */

/*
 * Opens the reserve. Must be called before any other thread is created. Returns 0 or a negative
 * errno.
 */
int accept_guard_init(void);
