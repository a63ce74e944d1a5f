/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packets that a VF-to-VM lane has taken and for which the guest's rings have had no room yet:
 * one queue per ring, all in a shared store.
 *
 * Theory. A queue may hold as many buffers as are still free. So one ring that does not move gets
 * half of the store, a second one half of the rest, and there is always room for a ring that has
 * moved so far (dynamic thresholds; Choudhury and Hahne, 1998). The unit is buffers, several of
 * which make up a long packet: the device's pool is sized for this number of buffers.
 *
 * The lane owns the packets in it.
 */

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "core/packet/packets.h"

#define BACKLOG_BUFFERS 1024 /* of one relay, divided among its slices */
/*
 * The least share of a slice: what a burst of 9000-byte frames for one ring asks for, whose buffers
 * count twice (for the queue and for the store), and as much again for packets to wait in.
 */
#define BACKLOG_BUFFERS_MIN (2 * 2 * LANE_BURST * 5)
#define NO_SLOT 0

struct backlog_queue {
	uint16_t first, last; /* slots; NO_SLOT if the queue is empty */
	uint16_t n_buffers;
};

/* Zero-initialised. */
struct backlog {
	uint32_t waiting; /* bit q: queue q is not empty */
	uint16_t n_buffers;
	struct tally total; /* of all queues together, as is n_buffers */
	uint16_t n_slots;   /* slots that have ever been used */
	uint16_t unused;    /* the first of these that is free now; NO_SLOT: none */
	struct backlog_queue queues[QUEUE_PAIRS_MAX];
	uint16_t next[BACKLOG_BUFFERS + 1]; /* of each slot: the next in its queue, or free */
	struct rte_mbuf *packets[BACKLOG_BUFFERS + 1]; /* slot 0 is NO_SLOT */
};

/*
 * Appends a packet to its queue. False if the queue has used up its share of `budget` buffers (at
 * most BACKLOG_BUFFERS); the packet is then still the caller's.
 */
bool backlog_append(
	struct backlog *backlog, unsigned queue, struct rte_mbuf *packet, uint16_t budget);

/*
 * Copies the pointers to the oldest packets of a queue, at most `n`, and leaves the packets in it.
 * Returns how many.
 */
uint16_t backlog_peek(
	const struct backlog *backlog, unsigned queue, struct rte_mbuf **ret_packets, uint16_t n);

/* Removes the `n` oldest packets of a queue; they are the caller's now. */
void backlog_take(struct backlog *backlog, unsigned queue, uint16_t n);

/* Frees all packets of a queue and returns how many packets and bytes they were. */
struct tally backlog_drop(struct backlog *backlog, unsigned queue);

/* The number of buffers that a lane may keep if it is one of `n_slices`. */
static inline uint16_t backlog_budget(unsigned n_slices)
{
	return RTE_MAX(BACKLOG_BUFFERS / n_slices, BACKLOG_BUFFERS_MIN);
}

/* True if `buffers` more would exceed the queue's share. */
static inline bool backlog_is_full(
	const struct backlog *backlog, unsigned queue, uint16_t budget, uint16_t buffers)
{
	return backlog->n_buffers + backlog->queues[queue].n_buffers + buffers > budget;
}
