/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which worker runs a lane: the one that the configuration pins it to; otherwise the least loaded
 * one, if possible on the NUMA node of the lane's packets.
 *
 * The load of a worker is measured: the time it was busy in the last seconds, taken from periodic
 * samples. A lane granted since the oldest sample is hardly measured yet, so it counts as a fixed
 * load; this spreads lanes that are granted at the same time. Among workers with about the same
 * load, the one with the fewest lanes is chosen. If the best worker on the right node is measured
 * to be saturated and another node has one that is not, the lane goes to the other node.
 *
 * All functions: control thread.
 */

#include "base/limits.h"
#include "config/config.h"
#include "core/lane/workers.h"

#define PLACEMENT_SAMPLES 4 /* the load is measured over so many */

/* A worker as placement sees it. */
struct placement_worker {
	int numa_node;        /* -1: unknown */
	double busy;          /* share of a core, measured */
	unsigned n_newcomers; /* lanes that are not measured yet */
	unsigned n_lanes;
};

/*
 * Chooses one of `n` (1..WORKERS_MAX) workers for a lane whose packets are on `numa_node` (-1:
 * any). Pure.
 */
unsigned placement_least_loaded(const struct placement_worker *workers, unsigned n, int numa_node);

struct placement {
	struct workers *workers;
	unsigned newest; /* index of the latest sample */
	struct {
		uint64_t taken_ns; /* 0: not yet */
		uint64_t busy_ns[WORKERS_MAX];
		unsigned n_granted[WORKERS_MAX]; /* lanes granted since it was taken */
	} samples[PLACEMENT_SAMPLES + 1];
};

void placement_init(struct placement *placement, struct workers *workers);

/* Takes a sample. To be called once a second. */
void placement_sample(struct placement *placement);

/*
 * Chooses a worker for a lane of this direction, and counts the lane as granted to it. Never fails.
 */
unsigned placement_choose(struct placement *placement, const struct config_pin *pin,
	enum direction direction, int numa_node);

/* True if the worker is on another node than `numa_node` and that node has workers. */
bool placement_is_remote(const struct placement *placement, unsigned worker, int numa_node);

/* The worker on that CPU, or -1. */
int placement_worker_on(const struct workers *workers, int cpu);
