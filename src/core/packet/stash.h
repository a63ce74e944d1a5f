/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packets that a VM-to-VF lane has taken and could not pass on yet. The lane reads its source
 * only when its stash is empty, or to learn what its destination refuses. So the source feels the
 * back pressure of the destination, and nothing that was taken needs to be dropped. The lane owns
 * the packets in it.
 */

#include <rte_mbuf.h>
#include <stdint.h>
#include <string.h>

#include "core/packet/packets.h"

struct stash {
	uint16_t head; /* index of the oldest packet */
	uint16_t n;    /* packets from there on */
	struct rte_mbuf *packets[LANE_BURST];
};

static inline struct rte_mbuf **stash_oldest(struct stash *stash)
{
	return &stash->packets[stash->head];
}

/* The place behind the youngest packet, with room for as many as the stash lacks. */
static inline struct rte_mbuf **stash_end(struct stash *stash)
{
	if (stash->n > 0)
		memmove(stash->packets, stash_oldest(stash), stash->n * sizeof(stash->packets[0]));
	stash->head = 0;
	return stash->packets + stash->n;
}

/* `n` new packets have been written to the beginning of an empty stash. */
static inline void stash_fill(struct stash *stash, uint16_t n)
{
	stash->head = 0;
	stash->n = n;
}

/* The `n` oldest packets belong to somebody else now. */
static inline void stash_take(struct stash *stash, uint16_t n)
{
	stash->head += n;
	stash->n -= n;
}

static inline struct tally stash_tally(struct stash *stash)
{
	return packets_tally(stash_oldest(stash), stash->n);
}

/* Frees the `n` oldest packets and returns how many packets and bytes they were. */
static inline struct tally stash_drop(struct stash *stash, uint16_t n)
{
	struct tally dropped = packets_tally(stash_oldest(stash), n);

	rte_pktmbuf_free_bulk(stash_oldest(stash), n);
	stash_take(stash, n);
	return dropped;
}
