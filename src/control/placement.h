/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which worker runs a lane: the one that the configuration pins it to, else the one with the least
 * to do, on the NUMA node of the packets where a worker is there.
 *
 * What a worker has to do is measured: the time that it was busy in the last seconds, which are
 * sampled one by one. A lane granted meanwhile is not in it yet, so each counts as some load, and
 * those that come at once are spread. Workers about equally busy are told apart by the number of
 * their lanes. A worker on the right node that has no time left gives way to one elsewhere.
 *
 * Control thread.
 */

#include "base/limits.h"
#include "config/config.h"
#include "core/workers.h"

#define PLACEMENT_SAMPLE_S 1
#define PLACEMENT_SAMPLES 4      /* that the load is measured over */
#define PLACEMENT_NEWCOMER 0.1   /* load that a lane counts for before it is measured, in cores */
#define PLACEMENT_SATURATED 0.95 /* load of a worker that has no time left */
#define PLACEMENT_SAME 0.02      /* loads that differ by less are the same */

/* A worker as placement sees it. */
struct placement_worker {
	int numa_node; /* -1: unknown */
	double load;   /* share of a core, newcomers counted in */
	unsigned n_lanes;
};

/* Of 1..WORKERS_MAX workers, the one for a lane whose packets are on that node (-1: any). Pure. */
unsigned placement_least_loaded(const struct placement_worker *workers, unsigned n, int numa_node);

struct placement {
	struct workers *workers;
	unsigned newest; /* sample */
	struct {
		uint64_t taken_ns; /* 0: not yet */
		uint64_t busy_ns[WORKERS_MAX];
		unsigned n_granted[WORKERS_MAX]; /* lanes, since it was taken */
	} samples[PLACEMENT_SAMPLES + 1];
};

void placement_init(struct placement *placement, struct workers *workers);

/* To be called each PLACEMENT_SAMPLE_S. */
void placement_sample(struct placement *placement);

/* The worker to which this direction of the relay is granted now. There is always one. */
unsigned placement_choose(struct placement *placement, const struct config_pin *pin,
	enum direction direction, int numa_node);

/* True where a lane on that worker would be nearer to the node elsewhere. */
bool placement_is_remote(const struct placement *placement, unsigned worker, int numa_node);

/* The worker on that CPU, or -1. */
int placement_worker_on(const struct workers *workers, int cpu);
