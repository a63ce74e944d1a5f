/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Zero copy: packets whose bytes stay in the guest's buffers until the device has sent them, as
 * external buffers (rte_pktmbuf_attach_extbuf). Those in flight are called loans here.
 *
 * Theory. A packet is *lent*: its segments lie in the guest's memory (external buffers of DPDK's).
 * When the last of them has been freed, by the device's driver, the loan is over. Where a packet
 * asks for a checksum or for segmentation its first bytes are copied into a segment of ours, so
 * that nothing that is parsed, by us or by the device, can change under the parser, and a checksum
 * has a place to be written to.
 *
 * Buffers are given back to the guest in the order of the ring, copied ones behind lent ones
 * included. So the position of the ring stays what it is, that before which everything has been
 * used, and what is taken next lies as many slots behind it as are out.
 *
 * Lent packets wait nowhere but in the device's own queue (lane.h). So once no worker may use
 * the rings, nobody but the device still reads, and ring_end_loans() waits for it.
 */

#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOANS_MAX 1024 /* buffers of a ring that are out, a power of two */

/* Who lends: a lane, whose owner alone uses this. What would be more than `max` is copied. */
struct lender {
	bool chains;    /* the device takes packets of several segments, */
	bool segments;  /* and cuts what asks for segmentation; else that is copied */
	uint16_t max;   /* segments that may be out at a time */
	uint16_t n_out; /* segments that the device has not sent yet */
};

/* A buffer that is done with. */
struct used {
	uint16_t id;
	uint16_t n_slots; /* that it takes in the ring: 1, or the descriptors of a packed one */
	uint32_t bytes;   /* written to it */
};

/* A buffer that was taken and has not been given back. */
struct loan {
	struct rte_mbuf_ext_shared_info shared; /* counts the segments that lie in it */
	struct lender *lender;
	struct used used;
	uint16_t n_segments;
	/* True from its first segment to the end of the last, which a thread other than the ring's
	 * may see to. */
	_Atomic bool out;
} __rte_cache_aligned;

/* Those of a ring, the oldest first. */
struct ring_loans {
	uint16_t first; /* free running */
	uint16_t n;
	uint16_t slots; /* of all of them */
	bool unsent; /* some were given back that the device had not sent, and may not have yet */
	struct loan loans[LOANS_MAX];
};

/* NULL when out of memory. */
struct ring_loans *ring_loans_new(void);

/*
 * Where a device still has a part of it, the memory is kept for ever and this says false: a driver
 * that comes to free its packets writes there. NULL is fine.
 */
bool ring_loans_free(struct ring_loans *loans);

/* The i-th one from the oldest on; from the n-th on they are free. */
static inline struct loan *ring_loan(struct ring_loans *loans, uint16_t i)
{
	return &loans->loans[(uint16_t)(loans->first + i) % LOANS_MAX];
}

/* The same where some are unsent. */
uint16_t ring_loans_room_between(struct ring_loans *loans, uint16_t n);

/* How many more buffers may be taken, `n` at most: not over one that a device has not let go of. */
static inline uint16_t ring_loans_room(struct ring_loans *loans, uint16_t n)
{
	if (unlikely(loans->unsent))
		return ring_loans_room_between(loans, n);
	return RTE_MIN(n, LOANS_MAX - loans->n);
}

/* Whether the device has let go of all that was given back before it had. With none out. */
static inline bool ring_loans_sent(struct ring_loans *loans)
{
	if (unlikely(loans->unsent))
		ring_loans_room_between(loans, 0);
	return !loans->unsent;
}

/* Makes `segment`, fresh from its pool, a part of what is lent: `bytes` of the guest at `at`. */
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
	/* Devices are told addresses of this process: only those are lent to that take them. */
	rte_pktmbuf_attach_extbuf(segment, at, (uintptr_t)at, bytes, &loan->shared);
	segment->data_len = bytes;
}
