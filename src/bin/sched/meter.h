/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rates between two answers of the stats endpoint: from counters, so that no other reader is in the
 * way. One thread.
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
	double busy; /* shares of the time */
	double sleep;
};

/*
 * Takes an answer, which becomes the meter's, of the time `now_ns`. Returns false where counters
 * have gone back: the daemon was started anew, or a relay; rates begin anew, too.
 */
bool meter_take(struct meter *meter, struct stats_reply *reply, uint64_t now_ns);

/* Forgets all. */
void meter_reset(struct meter *meter);

static inline bool meter_has_rates(const struct meter *meter)
{
	return meter->before != NULL;
}

static inline const struct direction_stats *meter_direction(
	const struct relay_stats *relay, enum sched_direction direction)
{
	return direction == SCHED_VF_TO_VM ? &relay->vf_to_vm : &relay->vm_to_vf;
}

/* Of the worker that runs a slice, or the whole where a direction is not split; -1 for none. */
static inline int meter_cpu(const struct direction_stats *stats, unsigned slice)
{
	return stats->n_slices > 1 ? stats->slices[slice].cpu : stats->cpu;
}

/*
 * The rates of the relay now->relays[i], or of a worker now->workers[i]; all 0 where there are
 * none.
 */
struct lane_rate meter_lane(const struct meter *meter, unsigned i, enum sched_direction direction);

/*
 * The share of a core that a direction has needed, or a slice of it where it is split: as measured,
 * else by the published weights. 0 where there are no rates.
 */
double meter_load(
	const struct meter *meter, unsigned i, enum sched_direction direction, unsigned slice);

struct worker_rate meter_worker(const struct meter *meter, unsigned i);
