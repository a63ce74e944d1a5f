/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The header in front of each packet of a guest (virtio 1.2, 5.1.6.2), and what it asks for: a
 * checksum to be finished, a TCP packet to be segmented, or a UDP datagram to be fragmented (UFO).
 * offload.h says how that goes on.
 */

#include <linux/virtio_net.h>
#include <stdbool.h>

struct rte_mbuf;

/* True if the header asks for anything. */
static inline bool net_header_asks(const struct virtio_net_hdr *header)
{
	return (header->flags | header->gso_type) != 0;
}

/*
 * Marks the packet with what its header asks for, or does it at once: a checksum that is not the
 * outermost TCP or UDP checksum is finished here. The header must be a copy of ours. False if the
 * request makes no sense.
 */
bool net_header_read(const struct virtio_net_hdr *header, struct rte_mbuf *packet);
