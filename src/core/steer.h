/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which of the guest's receive queues a packet goes to.
 *
 * A flow always goes to the same queue, so it keeps its order, and only queues that the guest has
 * enabled are used, whichever these are. The flow is told by the device's RSS hash where it made
 * one, else by a hash of ours over addresses, protocol and ports, the same for both directions of a
 * connection; the fragments of a packet have no ports, so all of them go by addresses alone.
 *
 * The hash chooses one of STEER_BUCKETS buckets, and a table leads from there to the queue. A
 * device whose RSS table is laid out the same way (vf_spread()) receives each guest queue's flows
 * on a queue of its own.
 */

#include <rte_mbuf.h>
#include <stdint.h>

#define STEER_BUCKETS 128 /* a divisor of all usual RSS table sizes */

struct steer {
	uint32_t enabled;                       /* the mask for which the table was made */
	uint8_t queue_of_bucket[STEER_BUCKETS]; /* queue pair */
};

/* Lays out the table for the queue pairs in `enabled`, which is not 0. */
void steer_set(struct steer *steer, uint32_t enabled);

/* Our own flow hash. For packets that are no IP, by Ethernet addresses. */
uint32_t steer_flow_hash(const struct rte_mbuf *packet);

/* The queue pair for the packet. */
static inline unsigned steer_queue(const struct steer *steer, const struct rte_mbuf *packet)
{
	uint32_t hash = packet->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? packet->hash.rss
	                                                          : steer_flow_hash(packet);

	return steer->queue_of_bucket[hash % STEER_BUCKETS];
}
