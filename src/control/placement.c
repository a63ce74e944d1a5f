/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/placement.h"

#include <string.h>

#include "base/clock.h"
#include "base/util.h"

#define NEWCOMER_LOAD 0.1 /* of a lane that is not measured yet, in cores */
#define SATURATED 0.95    /* a worker that is so busy is saturated */
#define SAME 0.02         /* loads that differ by less are equal */

int placement_worker_on(const struct workers *workers, int cpu)
{
	for (unsigned i = 0; i < workers_count(workers); i++)
		if ((int)workers_cpu(workers, i) == cpu)
			return i;
	return -1;
}

static double load_of(const struct placement_worker *worker)
{
	return worker->busy + worker->n_newcomers * NEWCOMER_LOAD;
}

static bool is_saturated(const struct placement_worker *worker)
{
	return worker->busy >= SATURATED;
}

static bool is_better(const struct placement_worker *a, const struct placement_worker *b)
{
	if (is_saturated(a) != is_saturated(b))
		return is_saturated(b);

	double difference = load_of(a) - load_of(b);

	if (difference < SAME && difference > -SAME)
		return a->n_lanes < b->n_lanes;
	return difference < 0;
}

/* The best worker on that node (-1: on any), or -1 if there is none. */
static int best_on(const struct placement_worker *workers, unsigned n, int numa_node)
{
	int best = -1;

	for (unsigned i = 0; i < n; i++)
		if ((numa_node < 0 || workers[i].numa_node == numa_node) &&
			(best < 0 || is_better(&workers[i], &workers[best])))
			best = i;
	return best;
}

unsigned placement_least_loaded(const struct placement_worker *workers, unsigned n, int numa_node)
{
	int local = best_on(workers, n, numa_node), any = best_on(workers, n, -1);

	if (local < 0 || (is_saturated(&workers[local]) && !is_saturated(&workers[any])))
		return any;
	return local;
}

void placement_init(struct placement *placement, struct workers *workers)
{
	*placement = (struct placement){.workers = workers};
	placement_sample(placement);
}

void placement_sample(struct placement *placement)
{
	unsigned next = (placement->newest + 1) % ARRAY_SIZE(placement->samples);

	memset(&placement->samples[next], 0, sizeof(placement->samples[next]));
	placement->samples[next].taken_ns = clock_monotonic_ns();
	for (unsigned i = 0; i < workers_count(placement->workers); i++)
		placement->samples[next].busy_ns[i] = workers_times(placement->workers, i).busy_ns;
	placement->newest = next;
}

static unsigned oldest_sample(const struct placement *placement)
{
	unsigned i = placement->newest;

	do
		i = (i + 1) % ARRAY_SIZE(placement->samples);
	while (placement->samples[i].taken_ns == 0);
	return i;
}

static struct placement_worker look_at(const struct placement *placement, unsigned worker)
{
	unsigned oldest = oldest_sample(placement), n_newcomers = 0;
	uint64_t passed_ns = clock_monotonic_ns() - placement->samples[oldest].taken_ns;
	uint64_t busy_ns = workers_times(placement->workers, worker).busy_ns -
	                   placement->samples[oldest].busy_ns[worker];

	for (unsigned i = 0; i < ARRAY_SIZE(placement->samples); i++)
		n_newcomers += placement->samples[i].n_granted[worker];
	return (struct placement_worker){
		.numa_node = workers_numa_node(placement->workers, worker),
		.busy = passed_ns > 0 ? (double)busy_ns / (double)passed_ns : 0,
		.n_newcomers = n_newcomers,
		.n_lanes = workers_load(placement->workers, worker),
	};
}

static unsigned choose(const struct placement *placement, const struct config_pin *pin,
	enum direction direction, int numa_node)
{
	struct placement_worker workers[WORKERS_MAX];
	unsigned n = MIN(workers_count(placement->workers), WORKERS_MAX);

	if (pin->set) {
		int cpu = direction == VF_TO_VM ? pin->vf_to_vm_cpu : pin->vm_to_vf_cpu;
		int worker = placement_worker_on(placement->workers, cpu);
		if (worker >= 0)
			return worker;
	}
	for (unsigned i = 0; i < n; i++)
		workers[i] = look_at(placement, i);
	return placement_least_loaded(workers, n, numa_node);
}

unsigned placement_choose(struct placement *placement, const struct config_pin *pin,
	enum direction direction, int numa_node)
{
	unsigned worker = choose(placement, pin, direction, numa_node);

	placement->samples[placement->newest].n_granted[worker]++;
	return worker;
}

bool placement_is_remote(const struct placement *placement, unsigned worker, int numa_node)
{
	const struct workers *workers = placement->workers;

	if (numa_node < 0 || workers_numa_node(workers, worker) == numa_node)
		return false;
	for (unsigned i = 0; i < workers_count(workers); i++)
		if (workers_numa_node(workers, i) == numa_node)
			return true;
	return false;
}
