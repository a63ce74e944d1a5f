/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a lane counts. One writer, the worker that runs the lane; any number of readers. The writer
 * publishes a whole burst at a time under a sequence number, so that a reader's snapshot always
 * satisfies received = sent + dropped + backlog. Neither side ever waits for a lock; a reader that
 * meets a publication (some ten stores) tries again.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/burst.h"
#include "base/drop.h"

/* Packets and the bytes of their frames, without FCS. */
struct tally {
	uint64_t packets;
	uint64_t bytes;
};

/* What one poll of a lane did. Lives on the worker's stack. */
struct burst_account {
	struct tally received;
	struct tally sent;
	struct tally dropped[DROP_N];
	struct tally backlog; /* what the lane holds afterwards */
};

struct atomic_tally {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
};

/* Written by the lane's worker, read by any thread. Zero-initialised. */
struct counters {
	_Atomic uint32_t sequence; /* odd while a burst is being published */
	struct atomic_tally received;
	struct atomic_tally sent;
	struct atomic_tally backlog;
	struct atomic_tally dropped[DROP_N];
	_Atomic uint64_t bursts[BURST_BUCKETS]; /* received, by their size */
};

struct counters_snapshot {
	struct tally received;
	struct tally sent;
	struct tally backlog;
	struct tally dropped[DROP_N];
	uint64_t bursts[BURST_BUCKETS];
};

/* The lane's worker only. */
void counters_publish(struct counters *counters, const struct burst_account *account);

/* Any thread but a worker. */
void counters_read(const struct counters *counters, struct counters_snapshot *ret_snapshot);
