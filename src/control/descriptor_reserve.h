/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A file descriptor in reserve, for when the process has none left and a library would abort it.
 * The program defines two functions of the C library, which replace it for all libraries too:
 *
 * - accept4(): libzmq aborts if it fails with EMFILE, and the listening socket stays readable
 *   meanwhile. The client is accepted with the reserve and its connection closed at once; the call
 *   returns -1, ECONNABORTED.
 * - epoll_create(): DPDK's interrupt thread closes its descriptor and opens another one whenever a
 *   VF comes or goes, and aborts if somebody else has taken the number in between. It gets the
 *   reserve itself.
 *
 * A new reserve is opened by the next call of either that finds a descriptor free. Any thread.
 */

#include <stdbool.h>

/*
 * Opens the reserve. Must be called before any other thread is created. Returns 0 or a negative
 * errno.
 */
int descriptor_reserve_init(void);

/* True if no descriptor is left but the reserve. Does not block. */
bool descriptor_reserve_is_last(void);
