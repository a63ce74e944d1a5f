/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long packets are written into a guest's buffers: through this CPU's cache, or past it.
 *
 * Theory. A store through the cache first needs the cache line: from the cache of the guest's CPU,
 * if the guest has read what was there, or from memory. A store past the cache (non-temporal) does
 * not, but then the guest reads the packet from memory. Which is better depends on how far apart
 * the two CPUs are, on what the guest does with its packets, and on how much memory its buffers
 * take. So both ways are tried and measured, again and again: the worker's time, and, if packets
 * wait for the guest because it is the slower one, the waiting time too.
 *
 * This is the state of a lane, for all rings that it gives packets to. The rings share the guest's
 * CPUs and caches, and what one ring gains by another way depends on how the others are written.
 */

#include <rte_atomic.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __SSE2__
#	include <emmintrin.h>
#endif

#include "core/packet/copy.h"

#define STORES_LONG 512 /* bytes of a packet from which on the way matters */
#define STORES_MEAN 256 /* mean length in a burst: most bytes may be in long packets */
#define STORES_HEAD 128 /* at least so many go through the cache: guests read headers */

/* The least number of packets to measure; as many as the rings have buffers if these are more. */
#define STORES_PHASE 2048

enum stores_phase {
	STORES_HOLD,    /* keep to the better way */
	STORES_MEASURE, /* measure it */
	STORES_SETTLE,  /* write all buffers twice the other way */
	STORES_TRY,     /* measure that */
};

struct stores {
	bool past_cache; /* how packets are written now */
	enum stores_phase phase;
	unsigned doubled; /* how often the time was doubled for which a result is held */
	uint64_t left;    /* packets, until the next phase */
	/* If this phase measures: */
	uint64_t bytes, cycles; /* written and spent so far, including the guest's part */
	uint64_t waits_since;   /* TSC since when packets wait for the guest; 0: none do */
	double cost[2];         /* TSC cycles per byte: through the cache, past it */
};

/* True if the next burst is to be timed. */
static inline bool stores_measure(const struct stores *stores)
{
	return stores->phase == STORES_MEASURE || stores->phase == STORES_TRY;
}

/*
 * The rings have been set up, with `buffers` in all. Nothing is measured before each buffer has
 * been written several times. The lane's owner.
 */
void stores_init(struct stores *stores, uint32_t buffers);

/*
 * A burst of `packets`, maybe 0, has been written to rings of `buffers` in all; if it was to be
 * timed, from `begin` to `end` (TSC). `waits`: more packets wait, for which the guest had no room.
 * The lane's owner.
 */
void stores_note(struct stores *stores, uint32_t buffers, uint32_t packets, uint64_t bytes,
	bool waits, uint64_t begin, uint64_t end);

/* Orders the stores: the guest sees what was written before it sees what is written next. */
static inline void stores_finish(bool past_cache)
{
	if (past_cache)
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
static inline void stores_write(bool past_cache, uint8_t *to, const uint8_t *from, uint32_t bytes)
{
#ifdef __SSE2__
	if (past_cache && bytes >= STORES_LONG) {
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
