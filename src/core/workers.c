/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/workers.h"

#include <assert.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/limits.h"
#include "core/epoch.h"
#include "core/idle.h"
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
	/* Written by the worker, read by the control thread. TSC cycles. */
	_Atomic uint64_t busy_cycles;
	_Atomic uint64_t sleep_cycles;
	/* One is published, the other is the control thread's to write. */
	struct plan plans[2];
	/* Constant. */
	struct idle idle;
	unsigned idle_latency_us; /* 0: never sleeps */
	struct epoch *epoch;
	unsigned index; /* in the table of workers, and as a reader of the epoch */
	unsigned lcore; /* DPDK's number of the thread */
};

struct workers {
	struct epoch *epoch;
	unsigned n;
	struct worker workers[];
};

static void add_cycles(_Atomic uint64_t *to, uint64_t cycles)
{
	atomic_store_explicit(
		to, atomic_load_explicit(to, memory_order_relaxed) + cycles, memory_order_relaxed);
}

/*
 * Polls every lane once. Returns the packets moved. The time since the last reading of the clock
 * goes to the lane that moved some; lanes without packets do not read it.
 */
static unsigned poll_lanes(const struct plan *plan, uint64_t *clock)
{
	unsigned moved = 0;

	for (unsigned d = 0; d < DIRECTIONS_N; d++) {
		for (unsigned i = 0; i < plan->n[d]; i++) {
			struct lane *lane = plan->lanes[d][i];
			unsigned n = d == VF_TO_VM ? vf_to_vm_poll((struct vf_to_vm *)lane)
			                           : vm_to_vf_poll((struct vm_to_vf *)lane);
			if (n == 0)
				continue;
			uint64_t now = rte_rdtsc();
			add_cycles(&lane->busy_cycles, now - *clock);
			*clock = now;
			moved += n;
		}
	}
	return moved;
}

static bool all_can_wake(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->n[VF_TO_VM]; i++)
		if (!idle_vf_to_vm_can_wake((struct vf_to_vm *)plan->lanes[VF_TO_VM][i]))
			return false;
	for (unsigned i = 0; i < plan->n[VM_TO_VF]; i++)
		if (!idle_vm_to_vf_can_wake((struct vm_to_vf *)plan->lanes[VM_TO_VF][i]))
			return false;
	return true;
}

static void arm(struct worker *worker, enum direction direction, struct lane *lane, bool on)
{
	if (direction == VF_TO_VM)
		idle_vf_to_vm_arm(&worker->idle, (struct vf_to_vm *)lane, on);
	else
		idle_vm_to_vf_arm(&worker->idle, (struct vm_to_vf *)lane, on);
}

static void arm_lanes(struct worker *worker, const struct plan *plan)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < plan->n[d]; i++)
			arm(worker, d, plan->lanes[d][i], true);
	rte_smp_mb(); /* asked before the last look */
}

/* Those that this worker armed, or another one from which they were taken while it slept. */
static void disarm_lanes(struct worker *worker, const struct plan *plan)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < plan->n[d]; i++)
			if (plan->lanes[d][i]->armed)
				arm(worker, d, plan->lanes[d][i], false);
}

static void sleep_offline(struct worker *worker, unsigned max_us)
{
	uint64_t start = rte_rdtsc();

	epoch_offline(worker->epoch, worker->index);
	idle_sleep(&worker->idle, max_us);
	epoch_online(worker->epoch, worker->index);
	add_cycles(&worker->sleep_cycles, rte_rdtsc() - start);
}

/* Goes to sleep, unless a packet has come since. The plan may be another one afterwards. */
static void go_to_sleep(struct worker *worker, const struct plan *plan)
{
	uint64_t clock = rte_rdtsc();

	if (!all_can_wake(plan)) {
		sleep_offline(worker, worker->idle_latency_us);
		return;
	}
	arm_lanes(worker, plan);
	if (poll_lanes(plan, &clock) == 0)
		sleep_offline(worker, IDLE_SLEEP_MAX_US);
	disarm_lanes(worker, atomic_load_explicit(&worker->plan, memory_order_acquire));
}

static int worker_main(void *argument)
{
	struct worker *worker = argument;
	const uint64_t spin_cycles = rte_get_tsc_hz() / 1000000 * IDLE_SPIN_US;
	const struct plan *before = NULL;
	uint64_t clock, idle_since = 0;

	prctl(PR_SET_TIMERSLACK, 1000 /* ns; the default adds 50 us to every sleep */);
	epoch_online(worker->epoch, worker->index);
	clock = rte_rdtsc();
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		const struct plan *plan = atomic_load_explicit(&worker->plan, memory_order_acquire);
		uint64_t start = clock;

		if (unlikely(plan != before))
			disarm_lanes(worker, plan);
		before = plan;
		if (poll_lanes(plan, &clock) != 0) {
			add_cycles(&worker->busy_cycles, clock - start);
			idle_since = 0;
			epoch_quiescent(worker->epoch, worker->index);
			continue;
		}
		clock = rte_rdtsc();
		if (idle_since == 0)
			idle_since = clock;
		if (worker->idle_latency_us != 0 && clock - idle_since > spin_cycles) {
			go_to_sleep(worker, plan);
			clock = rte_rdtsc();
		} else {
			rte_pause();
		}
		epoch_quiescent(worker->epoch, worker->index);
	}
	epoch_offline(worker->epoch, worker->index);
	return 0;
}

static int launch(struct workers *workers, unsigned idle_latency_us, struct err *err)
{
	unsigned lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct worker *worker = &workers->workers[workers->n];

		worker->epoch = workers->epoch;
		worker->index = workers->n;
		worker->lcore = lcore;
		worker->idle_latency_us = idle_latency_us;
		atomic_store(&worker->plan, &worker->plans[0]);
		workers->n++;
		int r = idle_init(&worker->idle);
		if (r == 0)
			r = rte_eal_remote_launch(worker_main, worker, lcore);
		if (r != 0)
			return err_set(err, -r, "the worker on CPU %d does not start: %s",
				rte_lcore_to_cpu_id(lcore), strerror(-r));
	}
	return 0;
}

int workers_start(struct workers **ret_workers, unsigned idle_latency_us, struct err *err)
{
	unsigned n = rte_lcore_count() - 1;
	struct workers *workers = calloc(1, sizeof(*workers) + n * sizeof(workers->workers[0]));

	if (workers == NULL)
		return err_set(err, ENOMEM, "out of memory");
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
	workers_wake(workers);
	for (unsigned i = 0; i < workers->n; i++) {
		rte_eal_wait_lcore(workers->workers[i].lcore);
		idle_fini(&workers->workers[i].idle);
	}
	epoch_free(workers->epoch);
	free(workers);
	return NULL;
}

void workers_wake(struct workers *workers)
{
	for (unsigned i = 0; i < workers->n; i++)
		idle_wake(&workers->workers[i].idle);
}

struct worker_times workers_times(const struct workers *workers, unsigned worker)
{
	const struct worker *w = &workers->workers[worker];

	return (struct worker_times){
		.busy_ns = workers_cycles_to_ns(atomic_load(&w->busy_cycles)),
		.sleep_ns = workers_cycles_to_ns(atomic_load(&w->sleep_cycles)),
	};
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
	idle_wake(&worker->idle);
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
