/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Relays with changing loads for the simulator: generated ones, or a recording. */

#include <stdint.h>

#include "sched/policy.h"

#define POLL_INTERVAL_S 5

enum world_kind {
	WORLD_UNIFORM,  /* all lanes alike, within a factor of three */
	WORLD_HEAVY,    /* a few lanes carry most of the load (Pareto) */
	WORLD_SHIFTING, /* heavy; every five minutes a third of the lanes changes */
	WORLD_BURSTY,   /* heavy; each lane is alternately on and off for some polls */
	WORLD_GENERATED_N,
	WORLD_RECORDED = WORLD_GENERATED_N,
};

extern const char *const world_names[];

/* The traffic of a lane over one poll interval. */
struct traffic {
	double packets_per_s;
	double bytes_per_s;
	double load; /* the share of a core it really needs; the weights only estimate it */
};

struct world {
	enum world_kind kind;
	uint64_t random;
	unsigned poll;
	unsigned n_lanes;
	struct lane_model {
		enum direction direction;
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

/* Lanes whose loads add up to `total` cores on average. The same seed gives the same world. */
void world_init(
	struct world *world, enum world_kind kind, unsigned n_lanes, double total, uint64_t seed);

/*
 * Reads lines "packets bytes load" per second, one for each lane of a poll, with lanes in the order
 * of relays and VF to VM first. Scales them to `total` cores on average. Exits with a message if
 * the file is invalid.
 */
void world_init_recording(struct world *world, const char *path, unsigned n_lanes, double total);

void world_fini(struct world *world);

/* The next poll interval. */
void world_next(struct world *world, struct traffic ret_traffic[SCHED_LANES_MAX]);
