/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The sockets by which drivers without interrupts receive from the kernel (AF_PACKET): they do not
 * say which descriptors those are, but a sleeper may wait for them as for any other. Found by what
 * the process has open.
 *
 * Control thread: it is the only one that opens devices.
 */

#include <stdbool.h>

#define PACKET_SOCKETS_MAX 512 /* all devices together */

struct packet_sockets {
	unsigned n;
	int fds[PACKET_SOCKETS_MAX];
};

/* Those that are open now. None where /proc cannot be read. */
void packet_sockets_list(struct packet_sockets *ret_sockets);

/* Fills in those that are open now and were not `before`; at most `max`. Returns how many. */
unsigned packet_sockets_since(const struct packet_sockets *before, int *ret_fds, unsigned max);
