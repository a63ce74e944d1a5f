/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packets that a VF-to-VM lane has taken and that rings of the guest had no room for yet: a
 * queue for each ring, in a store that all of them share.
 *
 * Theory. A queue may hold as many buffers as are still free. So one ring that does not move gets
 * half of the store, a second one half of the rest, and there is always room for a ring that has
 * been fine so far (dynamic thresholds; Choudhury and Hahne, 1998). What is counted are buffers, of
 * which a long packet has several: the device's pool is sized for that many.
 *
 * The lane owns the packets in it.
 */

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "core/stash.h"

#define BACKLOG_BUFFERS 1024 /* of one relay, shared out among its slices, */
/* Each of which gets at least so many: what a burst of frames of 9000 bytes for one ring asks for,
 * whose buffers count for the queue and for the store, and as much again for packets to wait in. */
#define BACKLOG_BUFFERS_MIN (2 * 2 * LANE_BURST * 5)
#define NO_SLOT 0

struct backlog_queue {
	uint16_t first, last; /* slots, NO_SLOT where it is empty */
	uint16_t n_buffers;
};

/* Zero-initialised. */
struct backlog {
	uint32_t waiting; /* bit q: queue q is not empty */
	uint16_t n_buffers;
	struct tally total; /* of all queues together, as the next */
	uint16_t n_slots;   /* that have ever been used */
	uint16_t unused;    /* the first of those that are not in use now, NO_SLOT for none */
	struct backlog_queue queues[QUEUE_PAIRS_MAX];
	uint16_t next[BACKLOG_BUFFERS + 1]; /* of each slot: the next of its queue, or unused */
	struct rte_mbuf *packets[BACKLOG_BUFFERS + 1]; /* slot 0 is NO_SLOT */
};

/*
 * Puts a packet behind the others of its queue. False where the queue has its share of `budget`
 * buffers, BACKLOG_BUFFERS at most.
 */
bool backlog_append(
	struct backlog *backlog, unsigned queue, struct rte_mbuf *packet, uint16_t budget);

/* Copies the oldest packets of a queue, `n` at most, and leaves them in it. Returns how many. */
uint16_t backlog_peek(
	const struct backlog *backlog, unsigned queue, struct rte_mbuf **ret_packets, uint16_t n);

/* The `n` oldest packets of a queue belong to the caller now. */
void backlog_take(struct backlog *backlog, unsigned queue, uint16_t n);

/* Frees all packets of a queue and says what they were. */
struct tally backlog_drop(struct backlog *backlog, unsigned queue);

/* What a lane that is one of so many slices may keep. */
static inline uint16_t backlog_budget(unsigned n_slices)
{
	return RTE_MAX(BACKLOG_BUFFERS / n_slices, BACKLOG_BUFFERS_MIN);
}

/* True where `buffers` more would be beyond the queue's share. */
static inline bool backlog_is_full(
	const struct backlog *backlog, unsigned queue, uint16_t budget, uint16_t buffers)
{
	return backlog->n_buffers + backlog->queues[queue].n_buffers + buffers > budget;
}
