/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/stores.h"

/*
 * The most that a burst counts, in TSC cycles per byte. If it takes longer, another process had the
 * CPU, or the guest did. If every burst takes longer, neither way is of use.
 */
#define CYCLES_A_BYTE 4

#define GAIN 0.875 /* a new cost below this part of the old one is worth a change */

/*
 * Rounds over all buffers before anything is measured: in the first ones the guest's buffers get
 * their memory.
 */
#define FIRST_LAPS 4

/*
 * Rounds over all buffers after a change, before anything is measured. In the first round through
 * the cache after others past it, lines come from memory.
 */
#define SETTLE_LAPS 2

/*
 * How long the result is held, in measuring phases: so long that p99 does not show that packets may
 * have to wait in the guest's ring during a trial. Twice as long after each trial that has changed
 * nothing, up to HOLD_DOUBLED times.
 */
#define HOLD_PHASES 1024
#define HOLD_DOUBLED 4

/* The length of a measuring phase. */
static uint32_t phase_packets(uint32_t buffers)
{
	return RTE_MAX(buffers, STORES_PHASE);
}

void stores_init(struct stores *stores, uint32_t buffers)
{
	*stores = (struct stores){.left = (uint64_t)FIRST_LAPS * phase_packets(buffers)};
}

static void note_cost(struct stores *stores)
{
	stores->cost[stores->past_cache] = (double)stores->cycles / (double)stores->bytes;
}

/* The trial is over: keeps to this way if it was better, or returns to the one before. */
static void decide(struct stores *stores)
{
	if (stores->cost[stores->past_cache] < stores->cost[!stores->past_cache] * GAIN) {
		stores->doubled = 0;
		return;
	}
	stores->past_cache = !stores->past_cache;
	stores->doubled = RTE_MIN(stores->doubled + 1, HOLD_DOUBLED);
}

static void next_phase(struct stores *stores, uint32_t buffers)
{
	uint64_t packets = phase_packets(buffers);

	switch (stores->phase) {
	case STORES_HOLD:
		stores->phase = STORES_MEASURE;
		break;
	case STORES_MEASURE:
		note_cost(stores);
		stores->past_cache = !stores->past_cache;
		stores->phase = STORES_SETTLE;
		packets = (uint64_t)SETTLE_LAPS * buffers;
		break;
	case STORES_SETTLE:
		stores->phase = STORES_TRY;
		break;
	case STORES_TRY:
		note_cost(stores);
		decide(stores);
		stores->phase = STORES_HOLD;
		packets *= HOLD_PHASES << stores->doubled;
		break;
	}
	stores->left = packets;
	stores->bytes = stores->cycles = stores->waits_since = 0;
}

/* Adds the time of a burst, including the time for which its packets have waited. */
static void measure(struct stores *stores, uint32_t packets, uint64_t bytes, bool waits,
	uint64_t begin, uint64_t end)
{
	if (stores->waits_since == 0)
		stores->waits_since = begin;
	if (packets == 0)
		return;
	stores->bytes += bytes;
	stores->cycles += RTE_MIN(end - stores->waits_since, bytes * CYCLES_A_BYTE);
	stores->waits_since = waits ? end : 0;
}

void stores_note(struct stores *stores, uint32_t buffers, uint32_t packets, uint64_t bytes,
	bool waits, uint64_t begin, uint64_t end)
{
	if (bytes < (uint64_t)packets * STORES_MEAN) {
		stores->waits_since = waits ? end : 0; /* these have waited too */
		return;
	}
	if (stores_measure(stores))
		measure(stores, packets, bytes, waits, begin, end);
	stores->left -= RTE_MIN(stores->left, packets);
	if (stores->left == 0)
		next_phase(stores, buffers);
}
