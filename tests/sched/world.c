/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/load.h"

#define LANE_LOAD_MAX 1.0 /* such a lane fills its CPU, and noise exceeds it */
#define NOISE 0.1         /* standard deviation of a lane's load from poll to poll */
#define COST_SPREAD 0.3
#define SHIFT_POLLS (300 / POLL_INTERVAL_S)
#define BURST_POLLS_MAX 24

const char *const world_names[] = {
	[WORLD_UNIFORM] = "uniform",
	[WORLD_HEAVY] = "heavy-tailed",
	[WORLD_SHIFTING] = "shifting",
	[WORLD_BURSTY] = "bursty",
	[WORLD_RECORDED] = "recorded",
};

/* xorshift64*: uniform in (0, 1). */
static double uniform(struct world *world)
{
	world->random ^= world->random >> 12;
	world->random ^= world->random << 25;
	world->random ^= world->random >> 27;
	return ((double)(world->random * 0x2545f4914f6cdd1dU >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(struct world *world)
{
	return sqrt(-2 * log(uniform(world))) * cos(2 * M_PI * uniform(world));
}

static double draw_load(struct world *world)
{
	if (world->kind == WORLD_UNIFORM)
		return 0.5 + uniform(world);
	return fmin(pow(uniform(world), -1 / 1.1), 100);
}

static void scale(struct world *world, double total)
{
	/* Lanes that reach the limit leave their excess to the others. */
	for (unsigned round = 0; round < 8; round++) {
		double sum = 0;

		for (unsigned i = 0; i < world->n_lanes; i++)
			sum += world->lanes[i].load;
		for (unsigned i = 0; i < world->n_lanes; i++)
			world->lanes[i].load =
				fmin(world->lanes[i].load * total / sum, LANE_LOAD_MAX);
	}
}

void world_init(
	struct world *world, enum world_kind kind, unsigned n_lanes, double total, uint64_t seed)
{
	*world = (struct world){.kind = kind, .n_lanes = n_lanes, .random = seed};
	for (unsigned i = 0; i < n_lanes; i++) {
		struct lane_model *lane = &world->lanes[i];

		lane->direction = i % 2 ? VM_TO_VF : VF_TO_VM;
		lane->load = draw_load(world);
		lane->packet_size = 64 + uniform(world) * 1450;
		lane->cost = exp(COST_SPREAD * normal(world));
		lane->left = 1 + (unsigned)(uniform(world) * BURST_POLLS_MAX);
		lane->on = true;
	}
	scale(world, total);
}

static void fail(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	exit(1);
}

void world_init_recording(struct world *world, const char *path, unsigned n_lanes, double total)
{
	FILE *file = fopen(path, "r");
	struct traffic traffic;
	double sum = 0;
	unsigned n = 0;

	*world = (struct world){.kind = WORLD_RECORDED, .n_lanes = n_lanes};
	if (!file)
		fail(path, "cannot be read");
	while (fscanf(file, "%lf %lf %lf", &traffic.packets_per_s, &traffic.bytes_per_s,
		       &traffic.load) == 3) {
		world->recording = reallocarray(world->recording, n + 1, sizeof(traffic));
		if (!world->recording)
			fail(path, "too long");
		world->recording[n++] = traffic;
		sum += traffic.load;
	}
	if (!feof(file) || sum <= 0 || n % n_lanes != 0)
		fail(path, "no whole number of polls");
	fclose(file);
	world->n_polls = n / n_lanes;
	for (unsigned i = 0; i < n; i++) {
		double factor = total * world->n_polls / sum;

		world->recording[i].packets_per_s *= factor;
		world->recording[i].bytes_per_s *= factor;
		world->recording[i].load *= factor;
	}
}

void world_fini(struct world *world)
{
	free(world->recording);
}

/* A third of the lanes exchange their loads, so that the total stays. */
static void shift(struct world *world)
{
	for (unsigned i = 0; i < world->n_lanes; i++) {
		struct lane_model *one = &world->lanes[i];
		struct lane_model *other =
			&world->lanes[(unsigned)(uniform(world) * world->n_lanes)];
		double load = one->load;

		if (uniform(world) >= 1.0 / 6) /* each exchange changes two lanes */
			continue;
		one->load = other->load;
		other->load = load;
	}
}

static void burst(struct world *world, struct lane_model *lane)
{
	if (--lane->left > 0)
		return;
	lane->on = !lane->on;
	lane->left = 1 + (unsigned)(uniform(world) * BURST_POLLS_MAX);
}

static struct traffic generate(struct world *world, struct lane_model *lane)
{
	double load = lane->load * fmax(0, 1 + NOISE * normal(world));
	double by_weights = load_from_rates(lane->direction, 1, lane->packet_size);
	double packets;

	if (world->kind == WORLD_BURSTY)
		burst(world, lane);
	if (!lane->on)
		load = 0;
	packets = load / (lane->cost * by_weights);
	return (struct traffic){packets, packets * lane->packet_size, load};
}

void world_next(struct world *world, struct traffic ret_traffic[SCHED_LANES_MAX])
{
	if (world->recording) {
		memcpy(ret_traffic,
			&world->recording[(size_t)(world->poll % world->n_polls) * world->n_lanes],
			world->n_lanes * sizeof(*ret_traffic));
	} else {
		if (world->kind == WORLD_SHIFTING && world->poll > 0 &&
			world->poll % SHIFT_POLLS == 0)
			shift(world);
		for (unsigned i = 0; i < world->n_lanes; i++)
			ret_traffic[i] = generate(world, &world->lanes[i]);
	}
	world->poll++;
}
