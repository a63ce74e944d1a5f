/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which of the guest's receive queues a packet goes to.
 *
 * A flow always goes to the same queue, so it keeps its order. Only queues that the guest has
 * enabled are used, whichever these are. A flow is identified by the device's RSS hash if there is
 * one, otherwise by a hash of ours over addresses and ports, which is the same for both
 * directions of a connection. Fragments go by addresses alone, because not all of them have the
 * ports.
 *
 * The hash selects one of STEER_BUCKETS buckets, and a table maps buckets to queues. A device whose
 * RSS table is laid out the same way (vf_spread()) receives the flows of each guest queue on a
 * queue of its own.
 */

#include <rte_mbuf.h>
#include <stdint.h>

#define STEER_BUCKETS 64 /* a divisor of all usual RSS table sizes: Intel's VFs have 64 entries */

struct steer {
	uint32_t enabled;                       /* the mask that the table was made for */
	uint8_t queue_of_bucket[STEER_BUCKETS]; /* queue pair */
};

/* Lays out the table for the queue pairs in `enabled`, which must not be 0. */
void steer_set(struct steer *steer, uint32_t enabled);

/* Our own flow hash. For packets other than IP, over the Ethernet addresses. */
uint32_t steer_flow_hash(const struct rte_mbuf *packet);

/* The queue pair for the packet. */
static inline unsigned steer_queue(const struct steer *steer, const struct rte_mbuf *packet)
{
	uint32_t hash = packet->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? packet->hash.rss
	                                                          : steer_flow_hash(packet);

	return steer->queue_of_bucket[hash % STEER_BUCKETS];
}
