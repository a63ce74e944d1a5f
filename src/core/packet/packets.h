/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Packets of a burst, and what counts them. */

#include <rte_mbuf.h>
#include <stdint.h>

#include "core/packet/counters.h"

#define LANE_BURST 32 /* the packets that a lane takes at a time, at most */

static inline struct tally packets_tally(struct rte_mbuf *const *packets, uint16_t n)
{
	struct tally tally = {.packets = n};

	for (uint16_t i = 0; i < n; i++)
		tally.bytes += packets[i]->pkt_len;
	return tally;
}

/* Frees one packet and counts it. */
static inline void count_and_free(struct tally *tally, struct rte_mbuf *packet)
{
	count_packet(tally, packet->pkt_len);
	rte_pktmbuf_free(packet);
}
