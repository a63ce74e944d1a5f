/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Relays with loads that change, for the simulator: generated ones, or a recording. */

#include <stdint.h>

#include "sched/policy.h"

#define POLL_INTERVAL_S 5

enum world_kind {
	WORLD_UNIFORM,  /* all lanes alike, within a factor of three */
	WORLD_HEAVY,    /* a few lanes carry most of the load (Pareto) */
	WORLD_SHIFTING, /* heavy, and every five minutes a third of the lanes changes */
	WORLD_BURSTY,   /* heavy, and each lane is on and off for some polls by turns */
	WORLD_GENERATED_N,
	WORLD_RECORDED = WORLD_GENERATED_N,
};

extern const char *const world_names[];

/* The traffic of a lane over one poll interval. */
struct traffic {
	double packets_per_s;
	double bytes_per_s;
	double load; /* what it needs of a core, truly; the weights only estimate it */
};

struct world {
	enum world_kind kind;
	uint64_t random;
	unsigned poll;
	unsigned n_lanes;
	struct lane_model {
		enum sched_direction direction;
		double load;        /* the mean, while the lane is on */
		double packet_size; /* bytes */
		double cost;        /* true cost / cost by the published weights */
		unsigned left;      /* bursty: polls until it goes on or off */
		bool on;
	} lanes[SCHED_LANES_MAX];
	/* Recordings: n_polls times n_lanes. */
	struct traffic *recording;
	unsigned n_polls;
};

/* Lanes whose loads sum up to `total` cores in the mean. The same seed gives the same world. */
void world_init(
	struct world *world, enum world_kind kind, unsigned n_lanes, double total, uint64_t seed);

/*
 * Reads lines of "packets bytes load" a second, one for each lane of a poll, lanes in the order of
 * relays, VF to VM first, and scales them to `total` cores in the mean. Exits with a message where
 * the file is wrong.
 */
void world_init_recording(struct world *world, const char *path, unsigned n_lanes, double total);

void world_fini(struct world *world);

/* The next poll interval. */
void world_next(struct world *world, struct traffic ret_traffic[SCHED_LANES_MAX]);
