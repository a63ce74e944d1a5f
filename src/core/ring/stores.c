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
 * How long the result is held, in measuring phases: so that trials add a 64th to the time that
 * packets take anyway. If there is little to lose, trials come more often.
 */
#define HOLD_PHASES 512 /* if the other way takes twice as long */
#define HOLD_PHASES_MIN 128
#define HOLD_PHASES_MAX 1024

/* The length of a measuring phase. */
static uint32_t phase_packets(uint32_t buffers)
{
	return RTE_MAX(buffers, STORES_PHASE);
}

void stores_init(struct stores *stores, uint32_t buffers)
{
	*stores = (struct stores){.left = FIRST_LAPS * phase_packets(buffers)};
}

static void note_cost(struct stores *stores)
{
	stores->cost[stores->past] = (double)stores->cycles / (double)stores->bytes;
}

/* The trial is over: keeps to this way if it was better, or returns to the one before. */
static void decide(struct stores *stores)
{
	if (stores->cost[stores->past] >= stores->cost[!stores->past] * GAIN)
		stores->past = !stores->past;
}

static uint32_t hold_phases(const struct stores *stores)
{
	double loss = stores->cost[!stores->past] / stores->cost[stores->past] - 1;

	return RTE_MAX(HOLD_PHASES_MIN, RTE_MIN(HOLD_PHASES_MAX, HOLD_PHASES * loss));
}

static void next_phase(struct stores *stores, uint32_t buffers)
{
	uint32_t packets = phase_packets(buffers);

	switch (stores->phase) {
	case STORES_HOLD:
		stores->phase = STORES_MEASURE;
		break;
	case STORES_MEASURE:
		note_cost(stores);
		stores->past = !stores->past;
		stores->phase = STORES_SETTLE;
		packets = SETTLE_LAPS * buffers;
		break;
	case STORES_SETTLE:
		stores->phase = STORES_TRY;
		break;
	case STORES_TRY:
		note_cost(stores);
		decide(stores);
		stores->phase = STORES_HOLD;
		packets *= hold_phases(stores);
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
