/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The AF_PACKET sockets by which drivers without interrupts exchange packets with the kernel. The
 * drivers do not say which descriptors these are, but a sleeping worker can wait for them like any
 * other. They are found among the process's open descriptors.
 *
 * If such a driver finds its transmit ring full, it calls poll() without a time limit, and the
 * worker would sleep until the wire has taken 100 KB or so. So the program defines poll(), which
 * replaces the C library's for all libraries too and does not wait for these sockets: the device
 * takes nothing then, as any other that is full.
 *
 * Control thread, since it is the only one that opens devices, except as noted.
 */

#include <stdbool.h>

#define PACKET_SOCKETS_MAX 512 /* of all devices together */

struct packet_sockets {
	unsigned n;
	int fds[PACKET_SOCKETS_MAX];
};

/* Lists those that are open now; none if /proc cannot be read. */
void packet_sockets_list(struct packet_sockets *ret_sockets);

/*
 * Fills in those that are open now and were not open `before`, at most `max`, by their numbers.
 * Returns how many. That is the order in which they were opened, unless other threads closed files
 * meanwhile; then a lane may push the socket of another queue, and what its own does not take at
 * once waits until the VM sends on that queue again.
 */
unsigned packet_sockets_since(const struct packet_sockets *before, int *ret_fds, unsigned max);

/*
 * Gives the kernel what the driver has put into the transmit ring of this socket. The driver itself
 * does so only when it is called with packets, and the kernel takes no more than the socket's send
 * buffer holds. True if packets may be left. Does not block. The thread that sends on the socket's
 * queue: the driver does not order its writes to the ring for others.
 */
bool packet_sockets_push(int fd);
