/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Segmentation in software over IPv4 and IPv6 (DPDK's own library does IPv4 only): of TCP, for
 * devices without it, and of UDP datagrams into fragments. A packet is cut a burst at a time, so it
 * needs only a burst of buffers, whatever segment size the guest asks for.
 */

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

/* How far one packet has been cut. Zero-initialised: nothing is being cut. */
struct gso {
	uint32_t next;  /* payload offset at which the next segment begins */
	uint16_t n_cut; /* segments so far */
	uint32_t id;    /* of the fragments, with IPv6 */
};

/*
 * Cuts up to `n` further segments off `packet`, which offload_prepare() has prepared and which is
 * not changed here, into `ret_segments`. They are copies from `pool`, each with its own lengths,
 * flags, checksums and sequence number or offset; the TCP checksum is left to the device if
 * `device_checksum` is set and the device can do it for this packet. Returns how many: fewer when
 * the packet ends (gso_done()) or the pool runs out of buffers.
 */
uint16_t gso_cut(struct gso *gso, const struct rte_mbuf *packet, struct rte_mempool *pool,
	bool device_checksum, struct rte_mbuf **ret_segments, uint16_t n);

/* True when all of the packet has been cut. */
bool gso_done(const struct gso *gso, const struct rte_mbuf *packet);
