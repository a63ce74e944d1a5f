/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Clients that come when the process has no descriptor left. libzmq ends the process where
 * accept4() fails with EMFILE, and a listening socket stays readable meanwhile. So the program has
 * an accept4() of its own, in place of the C library's for libzmq too: it keeps one descriptor in
 * reserve, by which it takes such a client in and hangs up at once (-1, ECONNABORTED).
 */

/* Takes the reserve. Before any other thread is made. Returns 0 or a negative errno. */
int accept_guard_init(void);
