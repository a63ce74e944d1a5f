/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rates between two answers of the stats endpoint. Computed from counters, so other readers do not
 * interfere. One thread.
 */

#include "sched/policy.h"
#include "wire/client.h"

struct meter {
	struct stats_reply *before; /* NULL: there are no rates yet */
	struct stats_reply *now;
	uint64_t before_ns;
	uint64_t now_ns;
};

struct lane_rate {
	double packets_per_s; /* received */
	double bytes_per_s;
	double drops_per_s; /* packets */
	bool measured;      /* busy is known */
	double busy;        /* share of one core */
};

struct worker_rate {
	double busy; /* share of the time */
	double sleep;
	double waiting; /* 0 if the daemon does not tell */
};

/*
 * Takes over an answer received at `now_ns`. Returns false if counters have gone back, because the
 * daemon or a relay was restarted; then rates start from this answer.
 */
bool meter_take(struct meter *meter, struct stats_reply *reply, uint64_t now_ns);

/* Frees both answers. */
void meter_reset(struct meter *meter);

static inline bool meter_has_rates(const struct meter *meter)
{
	return meter->before != NULL;
}

static inline const struct direction_stats *meter_direction(
	const struct relay_stats *relay, enum direction direction)
{
	return direction == VF_TO_VM ? &relay->vf_to_vm : &relay->vm_to_vf;
}

/*
 * The CPU of the worker that runs a slice, or the whole direction if it is not split; -1 for none.
 */
static inline int meter_cpu(const struct direction_stats *stats, unsigned slice)
{
	return stats->n_slices > 1 ? stats->slices[slice].cpu : stats->cpu;
}

/*
 * The rates of the relay now->relays[i], or of the worker now->workers[i]; all 0 if there are none
 * yet.
 */
struct lane_rate meter_lane(const struct meter *meter, unsigned i, enum direction direction);

/*
 * The share of a core that a direction has used, or a slice of it if it is split: as measured, or
 * else by the published weights. 0 if there are no rates yet.
 */
double meter_load(const struct meter *meter, unsigned i, enum direction direction, unsigned slice);

struct worker_rate meter_worker(const struct meter *meter, unsigned i);
