/* SPDX-License-Identifier: BSD-3-Clause */
#include "greedy.h"

#include <math.h>
#include <string.h>

static double variation(const struct sched_input *input, const unsigned *at, int node)
{
	double load[WORKERS_MAX] = {}, sum = 0, squares = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < input->n_lanes; i++)
		load[at[i]] += input->lanes[i].load;
	for (unsigned i = 0; i < input->n_workers; i++) {
		if (input->workers[i].numa_node != node)
			continue;
		n++;
		sum += load[i];
		squares += load[i] * load[i];
	}
	return sum > 0 ? sqrt(fmax(0, squares / n - sum / n * sum / n)) / (sum / n) : 0;
}

static void deal(const struct sched_input *input, unsigned *at, int node)
{
	double load[WORKERS_MAX] = {};
	bool dealt[SCHED_LANES_MAX] = {};

	for (;;) {
		unsigned longest = SCHED_LANES_MAX, least = WORKERS_MAX;

		for (unsigned i = 0; i < input->n_lanes; i++)
			if (!dealt[i] && input->lanes[i].numa_node == node &&
				(longest == SCHED_LANES_MAX ||
					input->lanes[i].load > input->lanes[longest].load))
				longest = i;
		if (longest == SCHED_LANES_MAX)
			return;
		for (unsigned i = 0; i < input->n_workers; i++)
			if (input->workers[i].numa_node == node &&
				(least == WORKERS_MAX || load[i] < load[least]))
				least = i;
		load[least] += input->lanes[longest].load;
		at[longest] = least;
		dealt[longest] = true;
	}
}

unsigned greedy_place(const struct sched_input *input, unsigned at[SCHED_LANES_MAX])
{
	unsigned n_moves = 0;

	for (int node = 0; node < WORKERS_MAX; node++) {
		unsigned afresh[SCHED_LANES_MAX];

		memcpy(afresh, at, sizeof(afresh));
		deal(input, afresh, node);
		if (variation(input, at, node) - variation(input, afresh, node) <
			input->sensitivity)
			continue;
		for (unsigned i = 0; i < input->n_lanes; i++)
			n_moves += at[i] != afresh[i];
		memcpy(at, afresh, sizeof(afresh));
	}
	return n_moves;
}
