/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/stores.h"

/*
 * A burst counts for so much at most: what takes longer was another's, who had the CPU, or the
 * guest's. One that takes longer for all bursts has no use for either way.
 */
#define CYCLES_A_BYTE 4

#define GAIN 0.875 /* of the cost so far: less is worth a change */

/* Laps of all buffers before anything is measured: on the first ones they get their memory. */
#define FIRST_LAPS 4

/*
 * Laps of all buffers after a change, before anything is measured. On the first one through the
 * cache after others past it, lines come from memory.
 */
#define SETTLE_LAPS 2

/*
 * How long the result is held: so that trials take a 64th of the time on top of what
 * packets take anyway. Where there is little to lose, they come more often.
 */
#define HOLD_PHASES 512 /* where the other way takes twice as long */
#define HOLD_PHASES_MIN 128
#define HOLD_PHASES_MAX 1024

/* Of a phase that measures. */
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

/* The trial is over: this way was better, or the one before will do. */
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

/* The time of a burst, and that for which its packets have waited. */
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
		stores->waits_since = waits ? end : 0; /* what has waited was these as well */
		return;
	}
	if (stores_measure(stores))
		measure(stores, packets, bytes, waits, begin, end);
	stores->left -= RTE_MIN(stores->left, packets);
	if (stores->left == 0)
		next_phase(stores, buffers);
}
