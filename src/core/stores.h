/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long packets are written into a guest's buffers: through this CPU's cache, or past it.
 *
 * Theory. A store through the cache needs the line first: from the cache of the guest's CPU, where
 * the guest has read what was there, or from memory. A store past the cache (non-temporal) does
 * not, but the guest then reads from memory what it gets. Which is better depends on how far apart
 * the two CPUs are, on what the guest does with its packets, and on how much memory its buffers
 * take. So both are tried and measured, again and again: the time of the worker, and where packets
 * wait for the guest, because it is the slower one, that too.
 *
 * The state of a lane, for all rings that it gives packets to: they share the guest's CPUs and the
 * caches, and what one of them gains by another way depends on how the others are written.
 */

#include <rte_atomic.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __SSE2__
#	include <emmintrin.h>
#endif

#include "core/copy.h"

#define STORES_LONG 512 /* bytes of a packet, from which on it makes a difference */
#define STORES_MEAN                                                                               \
	256             /* of the packets of a burst, from which on most of its bytes may be such \
	                 */
#define STORES_HEAD 128 /* at least so many go through the cache anyway: guests look at headers */

/* Packets that are measured, at least; as many as the rings have buffers where that is more. */
#define STORES_PHASE 2048

enum stores_phase {
	STORES_HOLD,    /* what was found to be better, */
	STORES_MEASURE, /* and how long that takes; */
	STORES_SETTLE,  /* the other way, until all buffers have been written so twice, */
	STORES_TRY,     /* and how long that takes */
};

struct stores {
	bool past; /* how packets are written now */
	enum stores_phase phase;
	uint32_t left; /* packets, until the next phase */
	/* Where this phase measures: */
	uint64_t bytes, cycles; /* written and taken so far, with the guest's part; */
	uint64_t waits_since;   /* TSC, while packets wait for the guest; 0 */
	double cost[2];         /* TSC cycles a byte: through the cache, past it */
};

/* True where the next burst is to be timed. */
static inline bool stores_measure(const struct stores *stores)
{
	return stores->phase == STORES_MEASURE || stores->phase == STORES_TRY;
}

/* Rings of `buffers` in all are set up: nothing is measured before all have been written several
 * times. */
void stores_init(struct stores *stores, uint32_t buffers);

/*
 * A burst of so many packets, 0 or more, has been written to rings of `buffers` in all, from
 * `begin` to `end` (TSC) where it was to be timed. `waits`: there are more, for which the guest had
 * no room.
 */
void stores_note(struct stores *stores, uint32_t buffers, uint32_t packets, uint64_t bytes,
	bool waits, uint64_t begin, uint64_t end);

/* What was written can be seen by the guest before what is written next. */
static inline void stores_finish(bool past)
{
	if (past)
		rte_wmb();
}

#ifdef __SSE2__
static inline void stores_line_past(uint8_t *to, const uint8_t *from)
{
	for (unsigned i = 0; i < RTE_CACHE_LINE_SIZE; i += sizeof(__m128i))
		_mm_stream_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
}
#endif

/* Writes part of a packet. */
static inline void stores_write(bool past, uint8_t *to, const uint8_t *from, uint32_t bytes)
{
#ifdef __SSE2__
	if (past && bytes >= STORES_LONG) {
		uint32_t done = STORES_HEAD + (-(uintptr_t)to & (RTE_CACHE_LINE_SIZE - 1));
		copy_bytes(to, from, done);
		for (; bytes - done >= RTE_CACHE_LINE_SIZE; done += RTE_CACHE_LINE_SIZE)
			stores_line_past(to + done, from + done);
		to += done;
		from += done;
		bytes -= done;
	}
#endif
	copy_bytes(to, from, bytes);
}
