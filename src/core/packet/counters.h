/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a lane counts. One writer, the lane's owner (lane.h): the worker whose plan has it, or the
 * control thread. Any number of readers. The writer publishes a whole burst at a time under a
 * sequence number, so a reader's snapshot always satisfies received = sent + dropped + backlog.
 * Neither side ever waits for a lock; a reader that overlaps a publication (some ten stores) tries
 * again.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/burst.h"
#include "base/drop.h"

/* Packets and the bytes of their frames without FCS; of what is sent, with padding. */
struct tally {
	uint64_t packets;
	uint64_t bytes;
};

static inline struct tally tally_add(struct tally a, struct tally b)
{
	return (struct tally){.packets = a.packets + b.packets, .bytes = a.bytes + b.bytes};
}

static inline void count_packet(struct tally *tally, uint32_t bytes)
{
	tally->packets++;
	tally->bytes += bytes;
}

/* What one poll of a lane did. Lives on the worker's stack. */
struct burst_account {
	struct tally received;
	struct tally sent;
	struct tally dropped[DROP_N];
	struct tally backlog; /* what the lane holds after the poll */
	/* Work that is not counted: segments sent, descriptors of chains looked at. */
	unsigned segments;
	unsigned descriptors;
};

struct atomic_tally {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
};

/* Written by the lane's owner, read by any thread except a worker. Zero-initialised. */
struct counters {
	_Atomic uint32_t sequence; /* odd while a burst is being published */
	struct atomic_tally received;
	struct atomic_tally sent;
	struct atomic_tally backlog;
	struct atomic_tally dropped[DROP_N];
	_Atomic uint64_t bursts[BURST_BUCKETS]; /* received bursts by size (base/burst.h) */
};

struct counters_snapshot {
	struct tally received;
	struct tally sent;
	struct tally backlog;
	struct tally dropped[DROP_N];
	uint64_t bursts[BURST_BUCKETS];
};

/* Adds to a number that only the caller writes, and that others may read meanwhile. */
static inline void counter_add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(
		to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Adds what one poll did. The lane's owner only. */
void counters_publish(struct counters *counters, const struct burst_account *account);

/* Takes a consistent snapshot. Any thread except a worker. */
void counters_read(const struct counters *counters, struct counters_snapshot *ret_snapshot);
