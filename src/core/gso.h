/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * TCP segmentation in software, for devices without it, over IPv4 and IPv6 (DPDK's own library cuts
 * IPv4 only). A packet is cut a burst at a time, so it needs a burst of buffers, whatever segment
 * size the guest asks for.
 */

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

/* Where the cutting of one packet stands. Zero-initialised: nothing is being cut. */
struct gso {
	uint32_t next;  /* payload byte with which the next segment begins */
	uint16_t n_cut; /* segments so far */
};

/*
 * Cuts up to `n` further segments off `packet` (prepared by offload_prepare() and not changed here)
 * into `ret_segments`, as copies from `pool`, each with its lengths, sequence number, flags and
 * checksums (TCP's left to the device where `device_checksum` and it can). Returns how many; fewer
 * when the packet ends (gso_done()) or buffers run out.
 */
uint16_t gso_cut(struct gso *gso, const struct rte_mbuf *packet, struct rte_mempool *pool,
	bool device_checksum, struct rte_mbuf **ret_segments, uint16_t n);

/* True when all of the packet has been cut. */
bool gso_done(const struct gso *gso, const struct rte_mbuf *packet);
