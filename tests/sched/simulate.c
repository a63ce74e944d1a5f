/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * simulate [--polls N] [--seed N] [--recording FILE RELAYS]...: applies the balancing policy and
 * greedy longest-first to loads, and prints a Markdown table: the worst CPU's load relative to the
 * optimum, and moves per hour; and at the end, what full CPUs did not carry. Fails if the policy is
 * worse than greedy in what it promises: fewer moves altogether, closer to the optimum overall, and
 * less that is not carried.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "greedy.h"
#include "optimum.h"
#include "sched/load.h"
#include "sched/policy.h"
#include "world.h"

#define UTILISATION 0.6 /* of all worker CPUs together */
#define SENSITIVITY 0.25
#define POLLS_DEFAULT (3600 / POLL_INTERVAL_S)
#define POLLS_MAX 10000

/* Greedy and the policy, each with rates by the published weights and with measured load. */
enum contender {
	GREEDY_WEIGHTS,
	GREEDY_MEASURED,
	POLICY_WEIGHTS,
	POLICY_MEASURED,
	CONTENDERS_N,
};

static bool is_greedy(enum contender contender)
{
	return contender == GREEDY_WEIGHTS || contender == GREEDY_MEASURED;
}

static bool is_measured(enum contender contender)
{
	return contender == GREEDY_MEASURED || contender == POLICY_MEASURED;
}

struct machine {
	unsigned n_relays;
	unsigned n_cpus;
	unsigned n_nodes;
};

static const struct machine machines[] = {
	{4, 2, 1}, {8, 4, 1}, {16, 4, 2}, {32, 8, 1}, {32, 8, 2}, {64, 16, 1}, {64, 16, 2}};

/* The placement of one contender, and its results. */
struct run {
	struct sched_input input;
	struct load_estimate estimates[SCHED_LANES_MAX];
	unsigned n_moves;
	double lost;             /* sum over the polls: the part of the load that was not carried */
	double ratio[POLLS_MAX]; /* worst CPU / optimum, by poll */
};

struct summary {
	double mean;
	double p95;
	double moves_per_hour;
	double lost; /* part of the load */
};

static void set_up(struct run *run, const struct machine *machine)
{
	struct sched_input *input = &run->input;

	memset(run, 0, sizeof(*run));
	input->sensitivity = SENSITIVITY;
	input->n_workers = machine->n_cpus;
	input->n_lanes = machine->n_relays * 2;
	for (unsigned i = 0; i < input->n_workers; i++)
		input->workers[i] =
			(struct sched_worker){.cpu = i, .numa_node = (int)(i % machine->n_nodes)};
	for (unsigned i = 0; i < input->n_lanes; i++) {
		unsigned node = i / 2 % machine->n_nodes;
		unsigned per_node = machine->n_cpus / machine->n_nodes;

		/* As the daemon places new lanes: by the number of lanes on each worker. */
		input->lanes[i] = (struct sched_lane){
			.relay_id = i / 2,
			.direction = i % 2,
			.numa_node = (int)node,
			.worker = node + machine->n_nodes * (i / 2 / machine->n_nodes % per_node),
		};
	}
}

/* The part that a saturated CPU carries of what its lanes want. */
static void carried(const struct run *run, const struct traffic *traffic, double *ret_share)
{
	double load[WORKERS_MAX] = {};

	for (unsigned i = 0; i < run->input.n_lanes; i++)
		load[run->input.lanes[i].worker] += traffic[i].load;
	for (unsigned i = 0; i < run->input.n_lanes; i++)
		ret_share[i] = fmin(1, 1 / load[run->input.lanes[i].worker]);
}

static void observe(struct run *run, enum contender contender, const struct traffic *traffic)
{
	double share[SCHED_LANES_MAX];

	carried(run, traffic, share);
	for (unsigned i = 0; i < run->input.n_lanes; i++) {
		struct sched_lane *lane = &run->input.lanes[i];
		double sample = is_measured(contender)
		                        ? traffic[i].load * share[i]
		                        : load_from_rates(lane->direction,
						  traffic[i].packets_per_s * share[i],
						  traffic[i].bytes_per_s * share[i]);

		if (is_greedy(contender)) {
			lane->load = sample;
			continue;
		}
		load_estimate_add(&run->estimates[i], sample);
		lane->load = run->estimates[i].mean;
	}
}

static void decide(struct run *run, enum contender contender)
{
	if (is_greedy(contender)) {
		unsigned at[SCHED_LANES_MAX] = {};

		for (unsigned i = 0; i < run->input.n_lanes; i++)
			at[i] = run->input.lanes[i].worker;
		run->n_moves += greedy_place(&run->input, at);
		for (unsigned i = 0; i < run->input.n_lanes; i++)
			run->input.lanes[i].worker = at[i];
	} else {
		struct sched_plan plan;

		sched_plan(&run->input, &plan);
		run->n_moves += plan.n_moves;
		for (unsigned i = 0; i < plan.n_moves; i++)
			run->input.lanes[plan.moves[i].lane].worker = plan.moves[i].to;
	}
}

static double worst(const struct run *run, const struct traffic *traffic)
{
	double load[WORKERS_MAX] = {}, most = 0;

	for (unsigned i = 0; i < run->input.n_lanes; i++)
		load[run->input.lanes[i].worker] += traffic[i].load;
	for (unsigned i = 0; i < run->input.n_workers; i++)
		most = fmax(most, load[i]);
	return most;
}

/* The part of the load that full CPUs do not carry, beyond that of lanes which exceed a CPU alone.
 */
static double lost(const struct run *run, const struct traffic *traffic)
{
	double load[WORKERS_MAX] = {}, sum = 0, excess = 0;

	for (unsigned i = 0; i < run->input.n_lanes; i++) {
		load[run->input.lanes[i].worker] += traffic[i].load;
		sum += traffic[i].load;
		excess -= fmax(0, traffic[i].load - 1);
	}
	for (unsigned i = 0; i < run->input.n_workers; i++)
		excess += fmax(0, load[i] - 1);
	return sum > 0 ? excess / sum : 0;
}

/* The best that any placement with lanes on their nodes can do. */
static double best_worst(const struct run *run, const struct machine *machine,
	const struct traffic *traffic, unsigned *exact)
{
	double most = 0;
	bool all_exact = true;

	for (unsigned node = 0; node < machine->n_nodes; node++) {
		double loads[SCHED_LANES_MAX];
		unsigned n = 0;
		bool is_exact;

		for (unsigned i = 0; i < run->input.n_lanes; i++)
			if (run->input.lanes[i].numa_node == (int)node)
				loads[n++] = traffic[i].load;
		most = fmax(most, optimum(loads, n, machine->n_cpus / machine->n_nodes, &is_exact));
		all_exact &= is_exact;
	}
	*exact += all_exact;
	return most;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct summary summarise(struct run *run, unsigned n_polls)
{
	struct summary summary = {
		.moves_per_hour = run->n_moves * 3600.0 / (n_polls * POLL_INTERVAL_S),
		.lost = run->lost / n_polls,
	};

	qsort(run->ratio, n_polls, sizeof(*run->ratio), ascending);
	for (unsigned i = 0; i < n_polls; i++)
		summary.mean += run->ratio[i] / n_polls;
	summary.p95 = run->ratio[n_polls * 95 / 100];
	return summary;
}

static void play(struct world *world, const struct machine *machine, unsigned n_polls,
	struct summary ret_summaries[CONTENDERS_N])
{
	static struct run runs[CONTENDERS_N];
	struct traffic traffic[SCHED_LANES_MAX];
	unsigned exact = 0;

	for (unsigned c = 0; c < CONTENDERS_N; c++)
		set_up(&runs[c], machine);
	world_next(world, traffic);
	for (unsigned poll = 0; poll < n_polls; poll++) {
		double best;

		for (unsigned c = 0; c < CONTENDERS_N; c++) {
			observe(&runs[c], c, traffic);
			decide(&runs[c], c);
		}
		/* What was decided for the past interval must do for the next one. */
		world_next(world, traffic);
		best = best_worst(&runs[0], machine, traffic, &exact);
		for (unsigned c = 0; c < CONTENDERS_N; c++) {
			runs[c].ratio[poll] = best > 0 ? worst(&runs[c], traffic) / best : 1;
			runs[c].lost += lost(&runs[c], traffic);
		}
	}
	printf("| %s | %u | %u | %u | %.0f %% |", world_names[world->kind], machine->n_relays,
		machine->n_cpus, machine->n_nodes, 100.0 * exact / n_polls);
	for (unsigned c = 0; c < CONTENDERS_N; c++) {
		ret_summaries[c] = summarise(&runs[c], n_polls);
		printf(" %.2f (%.2f) | %.0f |", ret_summaries[c].mean, ret_summaries[c].p95,
			ret_summaries[c].moves_per_hour);
	}
	printf("\n");
}

struct totals {
	unsigned n;
	struct summary sum[CONTENDERS_N];
};

static void add(struct totals *totals, const struct summary summaries[CONTENDERS_N])
{
	totals->n++;
	for (unsigned c = 0; c < CONTENDERS_N; c++) {
		totals->sum[c].mean += summaries[c].mean;
		totals->sum[c].p95 += summaries[c].p95;
		totals->sum[c].moves_per_hour += summaries[c].moves_per_hour;
		totals->sum[c].lost += summaries[c].lost;
	}
}

static void play_generated(struct totals *totals, unsigned n_polls, unsigned seed)
{
	for (enum world_kind kind = 0; kind < WORLD_GENERATED_N; kind++) {
		for (unsigned m = 0; m < ARRAY_SIZE(machines); m++) {
			const struct machine *machine = &machines[m];
			struct summary summaries[CONTENDERS_N];
			struct world world;

			world_init(&world, kind, machine->n_relays * 2,
				machine->n_cpus * UTILISATION, 1 + seed * 1000 + kind * 100 + m);
			play(&world, machine, n_polls, summaries);
			add(totals, summaries);
		}
	}
}

/* Plays it once, on several numbers of CPUs. */
static void play_recording(struct totals *totals, const char *path, unsigned n_relays)
{
	for (unsigned n_cpus = 2; n_cpus <= n_relays && n_cpus <= 4; n_cpus *= 2) {
		struct machine machine = {n_relays, n_cpus, 1};
		struct summary summaries[CONTENDERS_N];
		struct world world;

		world_init_recording(&world, path, n_relays * 2, n_cpus * UTILISATION);
		if (world.n_polls < 2 || world.n_polls > POLLS_MAX) {
			fprintf(stderr, "%s: too few or too many polls\n", path);
			exit(1);
		}
		play(&world, &machine, world.n_polls - 1, summaries);
		add(totals, summaries);
		world_fini(&world);
	}
}

static int conclude(const struct totals *totals)
{
	const struct summary *sum = totals->sum;
	double n = totals->n;
	int failed = 0;

	printf("| all | | | | |");
	for (unsigned c = 0; c < CONTENDERS_N; c++)
		printf(" %.3f (%.3f) | %.0f |", sum[c].mean / n, sum[c].p95 / n,
			sum[c].moves_per_hour / n);
	printf("\n| not carried | | | | |");
	for (unsigned c = 0; c < CONTENDERS_N; c++)
		printf(" %.2f %% | |", 100 * sum[c].lost / n);
	printf("\n");
	for (unsigned weights_or_measured = 0; weights_or_measured < 2; weights_or_measured++) {
		const struct summary *greedy = &sum[GREEDY_WEIGHTS + weights_or_measured];
		const struct summary *policy = &sum[POLICY_WEIGHTS + weights_or_measured];

		failed |= policy->mean >= greedy->mean ||
		          policy->moves_per_hour >= greedy->moves_per_hour ||
		          policy->lost >= greedy->lost;
	}
	if (failed)
		fprintf(stderr, "the policy is no better than greedy longest-first\n");
	return failed;
}

int main(int argc, char **argv)
{
	struct totals totals = {};
	unsigned n_polls = POLLS_DEFAULT, seed = 0;
	int i = 1;

	if (i + 1 < argc && strcmp(argv[i], "--polls") == 0) {
		n_polls = (unsigned)atoi(argv[i + 1]);
		i += 2;
	}
	if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
		seed = (unsigned)atoi(argv[i + 1]);
		i += 2;
	}
	if (n_polls < 2 || n_polls > POLLS_MAX) {
		fprintf(stderr, "--polls: 2 to %d\n", POLLS_MAX);
		return 2;
	}
	printf("| load | relays | CPUs | nodes | exact | greedy, weights | moves/h "
	       "| greedy, measured | moves/h | policy, weights | moves/h "
	       "| policy, measured | moves/h |\n"
	       "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	play_generated(&totals, n_polls, seed);
	for (; i + 2 < argc && strcmp(argv[i], "--recording") == 0; i += 3)
		play_recording(&totals, argv[i + 1], (unsigned)atoi(argv[i + 2]));
	if (i < argc) {
		fprintf(stderr,
			"usage: simulate [--polls N] [--seed N] [--recording FILE RELAYS]...\n");
		return 2;
	}
	return conclude(&totals);
}
