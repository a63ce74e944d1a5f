/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/workers.h"

#include <assert.h>
#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <string.h>

#include "base/limits.h"
#include "core/epoch.h"
#include "core/vf.h"

#define LANES_MAX (RELAYS_MAX * VF_QUEUES_MAX) /* of a direction */

/* What a worker polls. Constant while published. */
struct plan {
	unsigned n[DIRECTIONS_N];
	struct lane *lanes[DIRECTIONS_N][LANES_MAX];
};

struct worker {
	/* Written by the control thread, read by the worker. */
	_Atomic(struct plan *) plan;
	_Atomic bool stop;
	/* One is published, the other is the control thread's to write. */
	struct plan plans[2];
	/* Constant. */
	struct epoch *epoch;
	unsigned index; /* in the table of workers, and as a reader of the epoch */
	unsigned lcore; /* DPDK's number of the thread */
};

struct workers {
	struct epoch *epoch;
	unsigned n;
	struct worker workers[];
};

static int worker_main(void *argument)
{
	struct worker *worker = argument;

	epoch_online(worker->epoch, worker->index);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		const struct plan *plan = atomic_load_explicit(&worker->plan, memory_order_acquire);
		unsigned moved = 0;

		for (unsigned i = 0; i < plan->n[VF_TO_VM]; i++)
			moved += vf_to_vm_poll((struct vf_to_vm *)plan->lanes[VF_TO_VM][i]);
		for (unsigned i = 0; i < plan->n[VM_TO_VF]; i++)
			moved += vm_to_vf_poll((struct vm_to_vf *)plan->lanes[VM_TO_VF][i]);
		epoch_quiescent(worker->epoch, worker->index);
		if (moved == 0)
			rte_pause();
	}
	epoch_offline(worker->epoch, worker->index);
	return 0;
}

static int launch(struct workers *workers, struct err *err)
{
	unsigned lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct worker *worker = &workers->workers[workers->n];

		worker->epoch = workers->epoch;
		worker->index = workers->n;
		worker->lcore = lcore;
		atomic_store(&worker->plan, &worker->plans[0]);
		int r = rte_eal_remote_launch(worker_main, worker, lcore);
		if (r != 0)
			return err_set(err, -r, "the worker on CPU %d does not start: %s",
				rte_lcore_to_cpu_id(lcore), strerror(-r));
		workers->n++;
	}
	return 0;
}

int workers_start(struct workers **ret_workers, struct err *err)
{
	unsigned n = rte_lcore_count() - 1;
	struct workers *workers = calloc(1, sizeof(*workers) + n * sizeof(workers->workers[0]));

	if (workers == NULL)
		return err_set(err, ENOMEM, "out of memory");
	workers->epoch = epoch_new(n);
	int r = workers->epoch != NULL ? launch(workers, err)
	                               : err_set(err, ENOMEM, "out of memory");
	if (r < 0) {
		workers_stop(workers);
		return r;
	}
	*ret_workers = workers;
	return 0;
}

struct workers *workers_stop(struct workers *workers)
{
	if (workers == NULL)
		return NULL;
	for (unsigned i = 0; i < workers->n; i++)
		atomic_store(&workers->workers[i].stop, true);
	for (unsigned i = 0; i < workers->n; i++)
		rte_eal_wait_lcore(workers->workers[i].lcore);
	epoch_free(workers->epoch);
	free(workers);
	return NULL;
}

struct epoch *workers_epoch(struct workers *workers)
{
	return workers->epoch;
}

unsigned workers_count(const struct workers *workers)
{
	return workers->n;
}

unsigned workers_cpu(const struct workers *workers, unsigned worker)
{
	return rte_lcore_to_cpu_id(workers->workers[worker].lcore);
}

static const struct plan *current_plan(const struct workers *workers, unsigned worker)
{
	return atomic_load_explicit(&workers->workers[worker].plan, memory_order_relaxed);
}

unsigned workers_load(const struct workers *workers, unsigned worker)
{
	const struct plan *plan = current_plan(workers, worker);

	return plan->n[VF_TO_VM] + plan->n[VM_TO_VF];
}

/* The plan that is not published, as a copy of the one that is. */
static struct plan *next_plan(struct worker *worker)
{
	struct plan *current = atomic_load_explicit(&worker->plan, memory_order_relaxed);
	struct plan *next = &worker->plans[current == &worker->plans[0]];

	*next = *current;
	return next;
}

/* When this returns, the worker has left the plan before. */
static void publish(struct workers *workers, struct worker *worker, struct plan *plan)
{
	atomic_store_explicit(&worker->plan, plan, memory_order_release);
	epoch_synchronize(workers->epoch, "change what a worker runs");
}

void workers_grant(
	struct workers *workers, unsigned worker, enum direction direction, struct lane *lane)
{
	struct plan *plan = next_plan(&workers->workers[worker]);

	assert(lane->worker < 0 && plan->n[direction] < LANES_MAX);
	plan->lanes[direction][plan->n[direction]++] = lane;
	lane->worker = worker;
	publish(workers, &workers->workers[worker], plan);
}

void workers_retract(struct workers *workers, enum direction direction, struct lane *lane)
{
	if (lane->worker < 0)
		return;

	struct worker *worker = &workers->workers[lane->worker];
	struct plan *plan = next_plan(worker);
	unsigned kept = 0;

	for (unsigned i = 0; i < plan->n[direction]; i++)
		if (plan->lanes[direction][i] != lane)
			plan->lanes[direction][kept++] = plan->lanes[direction][i];
	plan->n[direction] = kept;
	publish(workers, worker, plan);
	lane->worker = -1;
}
