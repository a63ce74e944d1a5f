/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The worker threads, one on each worker CPU, and what they run.
 *
 * Theory. A worker has a *plan*: the lanes that it polls in turn. A plan is constant. To change it,
 * the control thread publishes another one and waits for a grace period of that worker (epoch.h);
 * after that the worker has seen the new plan and has finished with the old one. A lane is in at
 * most one plan: workers_grant() puts it into a worker's plan; workers_retract() takes it out and
 * returns when no worker touches it any more. Until it is granted again the lane belongs to the
 * control thread, which may change or free what it points to. So the lane itself, the device queues
 * and the rings that it uses need no locks, and a lane that moves keeps its backlog: nothing is
 * lost or reordered.
 *
 * All functions: control thread.
 */

#include "base/cpu_set.h"
#include "base/direction.h"
#include "base/err.h"
#include "core/lane/lane.h"

struct epoch;
struct workers;

/* How a worker has spent its time so far; in the rest it polled in vain. */
struct worker_times {
	uint64_t busy_ns;
	uint64_t sleep_ns;
};

/*
 * Starts one worker on each of the CPUs that eal_start() was given, with empty plans. A worker with
 * nothing to do sleeps (worker.h), which adds up to `idle_latency_us` to the latency of the first
 * packet from a source that cannot wake it. 0: workers poll all the time.
 */
int workers_start(struct workers **ret_workers, unsigned idle_latency_us, struct err *err);

/* Ends all threads; every lane must have been retracted. Returns NULL. */
struct workers *workers_stop(struct workers *workers);

/* For code that unpublishes what workers read, such as guest.h. */
struct epoch *workers_epoch(struct workers *workers);

/* Wakes a worker, because of something that it cannot hear of itself. */
void workers_wake(struct workers *workers, unsigned worker);

/*
 * Puts the workers and the control thread back on their CPUs if the kernel has taken them off
 * (cpu_keeper.h). To be called every second.
 */
void workers_keep_cpus(struct workers *workers);

struct worker_times workers_times(const struct workers *workers, unsigned worker);

/*
 * How long a worker could have run while its CPU ran something else (run_delay.h); part of all
 * its times. False if the kernel does not tell. For statistics: it reads a file.
 */
bool workers_waited_ns(const struct workers *workers, unsigned worker, uint64_t *ret_ns);
int workers_numa_node(const struct workers *workers, unsigned worker);
uint64_t workers_cycles_to_ns(uint64_t cycles);

unsigned workers_count(const struct workers *workers);
unsigned workers_cpu(const struct workers *workers, unsigned worker);

/* Lanes in a worker's plan. */
unsigned workers_load(const struct workers *workers, unsigned worker);

/* Gives the lane, which must be in no plan, to `worker`. Blocks for a grace period. */
void workers_grant(
	struct workers *workers, unsigned worker, enum direction direction, struct lane *lane);

/* Takes the lane out of its plan. Blocks for a grace period; does nothing for a lane in no plan. */
void workers_retract(struct workers *workers, struct lane *lane);
