/* SPDX-License-Identifier: BSD-3-Clause */
#include "optimum.h"

#include <stdlib.h>
#include <string.h>

#include "sched/policy.h"

#define NODES_MAX 5000
#define TIGHT 1.0005 /* this close to the bound, it is the optimum for us */

struct branch {
	double loads[SCHED_LANES_MAX]; /* the longest first */
	unsigned n;
	double workers[WORKERS_MAX];
	unsigned n_workers;
	double bound;
	double best;
	unsigned nodes;
};

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/*
 * The largest of: the mean, the longest load, and what the longest n_workers + 1 lanes must share.
 */
static double lower_bound(const struct branch *branch)
{
	unsigned m = branch->n_workers;
	double sum = 0, bound = branch->n > 0 ? branch->loads[0] : 0;

	for (unsigned i = 0; i < branch->n; i++)
		sum += branch->loads[i];
	if (sum / m > bound)
		bound = sum / m;
	if (branch->n > m && branch->loads[m - 1] + branch->loads[m] > bound)
		bound = branch->loads[m - 1] + branch->loads[m];
	return bound;
}

static void place(struct branch *branch, unsigned next, double worst)
{
	if (worst >= branch->best || branch->best <= branch->bound * TIGHT ||
		branch->nodes >= NODES_MAX)
		return;
	branch->nodes++;
	if (next == branch->n) {
		branch->best = worst;
		return;
	}
	/* The least loaded worker first, so the first leaf is the longest-first placement. */
	bool tried[WORKERS_MAX] = {};
	for (unsigned turn = 0; turn < branch->n_workers; turn++) {
		unsigned to = WORKERS_MAX;
		double load;
		bool twin = false;

		for (unsigned i = 0; i < branch->n_workers; i++)
			if (!tried[i] &&
				(to == WORKERS_MAX || branch->workers[i] < branch->workers[to]))
				to = i;
		for (unsigned i = 0; i < branch->n_workers; i++)
			twin |= tried[i] && branch->workers[i] == branch->workers[to];
		tried[to] = true;
		if (twin)
			continue;
		load = branch->workers[to];
		branch->workers[to] = load + branch->loads[next];
		place(branch, next + 1, branch->workers[to] > worst ? branch->workers[to] : worst);
		branch->workers[to] = load;
	}
}

double optimum(const double *loads, unsigned n, unsigned n_workers, bool *ret_exact)
{
	struct branch branch = {.n = n, .n_workers = n_workers, .best = 1e9};

	memcpy(branch.loads, loads, n * sizeof(*loads));
	qsort(branch.loads, n, sizeof(*branch.loads), descending);
	branch.bound = lower_bound(&branch);
	place(&branch, 0, 0);
	*ret_exact = branch.best <= branch.bound * TIGHT || branch.nodes < NODES_MAX;
	return *ret_exact ? branch.best : branch.bound;
}
