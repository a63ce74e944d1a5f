/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/lane/workers.h"

#include <assert.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <string.h>
#include <unistd.h>

#include "base/run_delay.h"
#include "core/dpdk/epoch.h"
#include "core/lane/worker.h"

struct workers {
	struct epoch *epoch;
	struct cpu_keeper control_keeper; /* of the control thread */
	unsigned n;
	struct worker workers[];
};

/*
 * The CPU that a DPDK thread runs on. Not by rte_lcore_to_cpu_id(), which tells about the CPU that
 * has the lcore's number.
 */
static unsigned cpu_of(unsigned lcore)
{
	const rte_cpuset_t cpus = rte_lcore_cpuset(lcore);
	unsigned cpu = 0;

	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &cpus))
		cpu++;
	return cpu;
}

static int launch(struct workers *workers, unsigned idle_latency_us, struct err *err)
{
	unsigned lcore;

	RTE_LCORE_FOREACH_WORKER (lcore) {
		struct worker *worker = &workers->workers[workers->n];

		worker->epoch = workers->epoch;
		worker->index = workers->n;
		worker->lcore = lcore;
		worker->cpu = cpu_of(lcore);
		worker->keeper = (struct cpu_keeper){"the worker", worker->cpu};
		worker->idle_latency_us = idle_latency_us;
		atomic_store(&worker->plan, &worker->plans[0]);
		workers->n++;
		epoch_register(workers->epoch, worker->index, worker->cpu);
		int r = idle_init(&worker->idle, err);
		if (r < 0)
			return err_prefix(
				err, r, "the worker on CPU %u does not start", worker->cpu);
		r = rte_eal_remote_launch(worker_main, worker, lcore);
		if (r != 0)
			return err_set(err, -r, "the worker on CPU %u does not start: %s",
				worker->cpu, strerror(-r));
	}
	return 0;
}

int workers_start(struct workers **ret_workers, unsigned idle_latency_us, struct err *err)
{
	unsigned n = rte_lcore_count() - 1;
	struct workers *workers = calloc(1, sizeof(*workers) + n * sizeof(workers->workers[0]));

	if (workers == NULL)
		return err_set(err, ENOMEM, "out of memory");
	workers->control_keeper = (struct cpu_keeper){"the control thread", cpu_of(rte_lcore_id())};
	workers->epoch = epoch_new(n);
	int r = workers->epoch != NULL ? launch(workers, idle_latency_us, err)
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
	for (unsigned i = 0; i < workers->n; i++) {
		workers_wake(workers, i);
		rte_eal_wait_lcore(workers->workers[i].lcore);
		/* DPDK's pipe orders this already, but the thread sanitizer only sees atomics. */
		(void)atomic_load_explicit(&workers->workers[i].stopped, memory_order_acquire);
		idle_fini(&workers->workers[i].idle);
	}
	epoch_free(workers->epoch);
	free(workers);
	return NULL;
}

void workers_wake(struct workers *workers, unsigned worker)
{
	idle_wake(&workers->workers[worker].idle);
}

void workers_keep_cpus(struct workers *workers)
{
	cpu_keeper_check(&workers->control_keeper, gettid());
	for (unsigned i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->workers[i];
		const pid_t thread = atomic_load(&worker->thread);

		if (thread != 0)
			cpu_keeper_check(&worker->keeper, thread);
	}
}

struct worker_times workers_times(const struct workers *workers, unsigned worker)
{
	const struct worker *w = &workers->workers[worker];

	return (struct worker_times){
		.busy_ns = workers_cycles_to_ns(atomic_load(&w->busy_cycles)),
		.sleep_ns = workers_cycles_to_ns(atomic_load(&w->sleep_cycles)),
	};
}

bool workers_waited_ns(const struct workers *workers, unsigned worker, uint64_t *ret_ns)
{
	return run_delay_ns(atomic_load(&workers->workers[worker].thread), ret_ns) == 0;
}

int workers_numa_node(const struct workers *workers, unsigned worker)
{
	return rte_lcore_to_socket_id(workers->workers[worker].lcore);
}

uint64_t workers_cycles_to_ns(uint64_t cycles)
{
	return (uint64_t)((double)cycles * 1e9 / (double)rte_get_tsc_hz());
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
	return workers->workers[worker].cpu;
}

unsigned workers_load(const struct workers *workers, unsigned worker)
{
	return atomic_load_explicit(&workers->workers[worker].plan, memory_order_relaxed)->n;
}

/* Fills the plan that is not published with a copy of the one that is. */
static struct plan *next_plan(struct worker *worker)
{
	struct plan *current = atomic_load_explicit(&worker->plan, memory_order_relaxed);
	struct plan *next = &worker->plans[current == &worker->plans[0]];

	*next = *current;
	next->number++;
	return next;
}

/* Publishes a plan. When this returns, the worker has left the previous one. */
static void publish(struct workers *workers, struct worker *worker, struct plan *plan)
{
	atomic_store_explicit(&worker->plan, plan, memory_order_release);
	idle_wake(&worker->idle);
	epoch_synchronize_reader(workers->epoch, worker->index, "change what a worker runs");
}

void workers_grant(
	struct workers *workers, unsigned worker, enum direction direction, struct lane *lane)
{
	struct plan *plan = next_plan(&workers->workers[worker]);

	assert(lane->worker < 0 && plan->n < LANES_MAX);
	if (lane->vf != NULL)
		vf_flush_cache(lane->vf, rte_lcore_id());
	plan->places[plan->n++] = (struct place){direction, lane};
	lane->worker = worker;
	publish(workers, &workers->workers[worker], plan);
}

static bool runs_lane_of(const struct plan *plan, const struct vf *vf)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->places[i].lane->vf == vf)
			return true;
	return false;
}

void workers_retract(struct workers *workers, struct lane *lane)
{
	if (lane->worker < 0)
		return;

	struct worker *worker = &workers->workers[lane->worker];
	struct plan *plan = next_plan(worker);
	unsigned kept = 0;

	for (unsigned i = 0; i < plan->n; i++)
		if (plan->places[i].lane != lane)
			plan->places[kept++] = plan->places[i];
	plan->n = kept;
	publish(workers, worker, plan);
	lane->worker = -1;
	if (lane->vf != NULL && !runs_lane_of(plan, lane->vf))
		vf_flush_cache(lane->vf, worker->lcore);
}
