/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Zero copy: packets whose bytes stay in the guest's buffers until the device has sent them.
 *
 * Theory. A packet is *lent*: its segments lie in the guest's memory, as external buffers of DPDK
 * (rte_pktmbuf_attach_extbuf()). A *loan* is our record of a buffer that the guest has not got
 * back. While segments lie in it, it is *out*, until the device's driver has freed the last of
 * them. It is never out if the whole packet was copied. If a packet asks for a checksum or for
 * segmentation, its first bytes are copied into a segment of ours. So nothing that we or the device
 * parse can change under the parser, and there is a place to write the checksum to.
 *
 * Buffers are given back to the guest in ring order, including copied ones behind lent ones. So the
 * position of the ring keeps its meaning, that everything before it has been used, and what is
 * taken next lies as many slots behind it as the loans take.
 *
 * Lent packets wait nowhere except in the device's own queue (lane.h). So once no worker may use
 * the rings, only the device still reads, and ring_end() waits for it.
 */

#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOANS_MAX 1024 /* of a ring; a power of two */

/* How long a device gets to send all that was lent to it. A full ring takes 1 ms at 10 Gbit/s. */
#define LOANS_SETTLE_MS 50

/* The side that lends: a lane, used by its owner only. What would exceed `max` is copied. */
struct lender {
	bool chains;    /* the device takes packets of several segments */
	bool segments;  /* it also does TSO; otherwise such packets are copied, UDP always */
	uint16_t max;   /* segments that may be out at a time */
	uint16_t n_out; /* segments that the device has not sent yet */
};

/* A buffer that is done with. */
struct used {
	uint16_t id;
	uint16_t n_slots; /* that it takes in the ring: 1, or a packed chain's descriptors */
	uint32_t bytes;   /* written to it */
};

/* A buffer that was taken and has not been given back. */
struct loan {
	struct rte_mbuf_ext_shared_info shared; /* counts the segments in it */
	struct lender *lender;
	struct used used;
	uint16_t n_segments;
	/*
	 * True from when its first segment is attached until the last one is freed, perhaps by
	 * another thread than the ring's.
	 */
	_Atomic bool out;
} __rte_cache_aligned;

/* The loans of a ring, oldest first. */
struct ring_loans {
	uint16_t first; /* free running */
	uint16_t n;
	uint16_t slots; /* that they take in the ring */
	bool unsent;    /* some were given back unsent, and may still be unsent */
	struct loan loans[LOANS_MAX];
};

/* NULL when out of memory. */
struct ring_loans *ring_loans_new(void);

/*
 * Frees them. False if a device still has a part of one: then the memory is kept for ever, because
 * a driver that comes to free its packets writes there. NULL is fine.
 */
bool ring_loans_free(struct ring_loans *loans);

/* The i-th loan from the oldest on; those from the n-th on are free. */
static inline struct loan *ring_loan(struct ring_loans *loans, uint16_t i)
{
	return &loans->loans[(uint16_t)(loans->first + i) % LOANS_MAX];
}

/*
 * Counts the free loans up to the first one that a device still has; if there is none of those,
 * `unsent` is false from now on. Returns how many, at most `n`.
 */
uint16_t ring_loans_recount(struct ring_loans *loans, uint16_t n);

/*
 * How many more buffers may be taken, at most `n`: none from the first slot on that a device still
 * has.
 */
static inline uint16_t ring_loans_room(struct ring_loans *loans, uint16_t n)
{
	if (unlikely(loans->unsent))
		return ring_loans_recount(loans, n);
	return RTE_MIN(n, LOANS_MAX - loans->n);
}

/*
 * True if the device has let go of everything that was given back before it was sent. Only while no
 * loan is out.
 */
static inline bool ring_loans_sent(struct ring_loans *loans)
{
	if (unlikely(loans->unsent))
		ring_loans_recount(loans, 0);
	return !loans->unsent;
}

/*
 * Makes `segment`, fresh from its pool, a part of the loan: `bytes` of the guest, mapped at `at`.
 */
static inline void loan_attach(struct loan *loan, struct lender *lender, struct rte_mbuf *segment,
	uint8_t *at, uint16_t bytes)
{
	if (!atomic_load_explicit(&loan->out, memory_order_relaxed)) {
		loan->lender = lender;
		loan->n_segments = 0;
		atomic_store_explicit(&loan->out, true, memory_order_relaxed);
	}
	lender->n_out++;
	rte_mbuf_ext_refcnt_set(&loan->shared, ++loan->n_segments);
	/* The IOVA is our virtual address: only devices that take these are lent to. */
	rte_pktmbuf_attach_extbuf(segment, at, (uintptr_t)at, bytes, &loan->shared);
	segment->data_len = bytes;
}
