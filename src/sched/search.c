/* SPDX-License-Identifier: BSD-3-Clause */
#include "sched/search.h"

#define EPSILON 1e-9
#define NONE SCHED_LANES_MAX

/* A move of `lane` to `to`, or an exchange with the lane `back` there. */
struct step {
	unsigned lane;
	unsigned back; /* NONE: a move, not an exchange */
	unsigned to;
	/* load taken from the more loaded of the two workers, less the cost of the step */
	double gain;
	double there; /* load of `to` afterwards; breaks ties between equal gains */
};

static bool has_worker_on(const struct sched_input *input, int numa_node)
{
	for (unsigned i = 0; i < input->n_workers; i++)
		if (input->workers[i].numa_node == numa_node)
			return true;
	return false;
}

void search_init(struct search *search, const struct sched_input *input)
{
	search->input = input;
	for (unsigned i = 0; i < input->n_workers; i++) {
		search->load[i] = 0;
		search->domain[i] = input->global_numa ? -1 : input->workers[i].numa_node;
	}
	for (unsigned i = 0; i < input->n_lanes; i++) {
		const struct sched_lane *lane = &input->lanes[i];
		bool stays = input->global_numa || lane->numa_node < 0 ||
		             !has_worker_on(input, lane->numa_node);

		search->at[i] = lane->worker;
		search->load[lane->worker] += lane->load;
		search->movable[i] = !lane->pinned;
		search->home[i] = stays ? search->domain[lane->worker] : lane->numa_node;
	}
}

void search_place(struct search *search, unsigned lane, unsigned worker)
{
	double load = search->input->lanes[lane].load;

	search->load[search->at[lane]] -= load;
	search->load[worker] += load;
	search->at[lane] = worker;
}

/* The cost of having a lane on that worker, in cores. */
static double place_cost(const struct search *search, unsigned lane, unsigned worker)
{
	const struct sched_lane *subject = &search->input->lanes[lane];
	int node = search->input->workers[worker].numa_node;
	bool remote = subject->numa_node >= 0 && node >= 0 && subject->numa_node != node;

	return (worker != subject->worker ? SCHED_MOVE_COST : 0) + (remote ? SCHED_REMOTE_COST : 0);
}

/*
 * Evaluates the step that puts `lane` on `to`, and `back` in its place; stores it in *best if it is
 * better.
 */
static void try_step(
	const struct search *search, unsigned lane, unsigned to, unsigned back, struct step *best)
{
	const struct sched_lane *lanes = search->input->lanes;
	unsigned from = search->at[lane];
	double shift = lanes[lane].load - (back == NONE ? 0 : lanes[back].load);
	double left = search->load[from] - shift, there = search->load[to] + shift;
	double gain = search->load[from] - (left > there ? left : there);
	double cost = place_cost(search, lane, to) - place_cost(search, lane, from);

	if (gain < EPSILON)
		return;
	if (back != NONE)
		cost += place_cost(search, back, from) - place_cost(search, back, to);
	gain -= cost;
	if (gain > best->gain + EPSILON ||
		(gain > best->gain - EPSILON && there < best->there - EPSILON))
		*best = (struct step){lane, back, to, gain, there};
}

/* The best step that relieves the worker `from`; its gain is 0 if there is none. */
static struct step best_step(const struct search *search, unsigned from)
{
	const struct sched_input *input = search->input;
	int domain = search->domain[from];
	struct step best = {.gain = 0};

	for (unsigned lane = 0; lane < input->n_lanes; lane++) {
		if (search->at[lane] != from || !search->movable[lane] ||
			search->home[lane] != domain)
			continue;
		for (unsigned to = 0; to < input->n_workers; to++)
			if (to != from && search->domain[to] == domain)
				try_step(search, lane, to, NONE, &best);
		for (unsigned back = 0; back < input->n_lanes; back++)
			if (search->at[back] != from && search->movable[back] &&
				search->home[back] == domain &&
				search->domain[search->at[back]] == domain)
				try_step(search, lane, search->at[back], back, &best);
	}
	return best;
}

/* The workers of the domain, most loaded first. */
static unsigned sort_workers(
	const struct search *search, int domain, unsigned ret_workers[WORKERS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < search->input->n_workers; i++) {
		unsigned at = n;

		if (search->domain[i] != domain)
			continue;
		for (; at > 0 && search->load[ret_workers[at - 1]] < search->load[i]; at--)
			ret_workers[at] = ret_workers[at - 1];
		ret_workers[at] = i;
		n++;
	}
	return n;
}

static bool take_step(struct search *search, int domain)
{
	unsigned workers[WORKERS_MAX];
	unsigned n = sort_workers(search, domain, workers);

	for (unsigned i = 0; i + 1 < n; i++) {
		struct step step = best_step(search, workers[i]);

		if (step.gain <= EPSILON)
			continue;
		search_place(search, step.lane, step.to);
		if (step.back != NONE)
			search_place(search, step.back, workers[i]);
		return true;
	}
	return false;
}

void search_improve(struct search *search, int domain)
{
	/* Ends, as each step makes the sorted list of loads smaller; the bound is for time. */
	for (unsigned steps = 0; steps < SCHED_LANES_MAX; steps++)
		if (!take_step(search, domain))
			return;
}
