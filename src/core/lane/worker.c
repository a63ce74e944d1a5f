/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/lane/worker.h"

#include <limits.h>
#include <rte_cycles.h>
#include <rte_pause.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/util.h"
#include "core/dpdk/epoch.h"
#include "core/packet/counters.h"

/* The lane has been busy since the clock was last read, until now. */
static void note_busy(struct worker *worker, struct lane *lane, uint64_t now)
{
	const uint64_t cycles = now - worker->clock;

	counter_add(&lane->busy_cycles, cycles);
	counter_add(&worker->busy_cycles, cycles);
	awake_moved(&lane->awake, worker->clock, now, worker->us);
	worker->clock = worker->moved_at = now;
}

static bool is_vacant(const struct place *place)
{
	return place->direction == VM_TO_VF &&
	       vm_to_vf_is_vacant((const struct vm_to_vf *)place->lane);
}

/*
 * When a lane that has just moved nothing is polled again. A lane without a VM has nothing to be
 * late for. Such lanes must not slow down those with a VM, so they are polled seldom, and not all
 * at the same time.
 */
static uint64_t due_silent(const struct worker *worker, const struct place *place)
{
	if (is_vacant(place))
		return worker->clock + (LOOK_US + (place - worker->places)) * worker->us;
	return awake_due_silent(
		&place->lane->awake, worker->clock, worker->us, worker->idle_latency_us);
}

/*
 * Lets the others go first if the lane's last poll, which began at `begin`, took long: those that
 * moved many packets last time.
 */
static void yield_after(struct worker *worker, struct place *place, uint64_t begin)
{
	const uint64_t took = worker->clock - begin;
	unsigned n = 0;

	place->yields = false;
	if (likely(took <= TURN_US * worker->us))
		return;
	for (unsigned i = 0; i < worker->n_awake; i++)
		n += worker->places[i].many && &worker->places[i] != place;
	if (n == 0)
		return;
	place->due = worker->clock + MIN(took * n, YIELD_MAX_US * worker->us);
	place->yields = worker->yielding = true;
}

/* No lane has packets, except perhaps those that yield. */
static void end_yielding(struct worker *worker)
{
	for (unsigned i = 0; i < worker->n_awake; i++)
		if (worker->places[i].yields)
			worker->places[i].due = worker->clock;
	worker->yielding = false;
}

/*
 * Polls a lane once; true if it moved packets. The time since the clock was last read is then the
 * lane's; a poll without packets does not read the clock.
 */
static bool poll_lane(struct worker *worker, struct place *place)
{
	struct lane *lane = place->lane;
	const uint64_t begin = worker->clock;
	unsigned n = place->direction == VF_TO_VM ? vf_to_vm_poll((struct vf_to_vm *)lane)
	                                          : vm_to_vf_poll((struct vm_to_vf *)lane);

	place->many = n >= MANY_MOVED;
	if (n == 0) {
		place->due = due_silent(worker, place);
		return false;
	}
	note_busy(worker, lane, rte_rdtsc());
	const uint64_t worked = atomic_load_explicit(&worker->busy_cycles, memory_order_relaxed);
	place->due = awake_due(begin, worker->clock, worked - place->worked, n, worker->us,
		worker->idle_latency_us);
	place->worked = worked;
	yield_after(worker, place, begin);
	return true;
}

static void swap(struct place *a, struct place *b)
{
	struct place c = *a;

	*a = *b;
	*b = c;
}

static bool can_wake(const struct place *place)
{
	return place->direction == VF_TO_VM
	               ? idle_vf_to_vm_can_wake((struct vf_to_vm *)place->lane)
	               : idle_vm_to_vf_can_wake((struct vm_to_vf *)place->lane);
}

static void arm(struct worker *worker, const struct place *place, bool on)
{
	if (place->direction == VF_TO_VM)
		idle_vf_to_vm_arm(&worker->idle, (struct vf_to_vm *)place->lane, on);
	else
		idle_vm_to_vf_arm(&worker->idle, (struct vm_to_vf *)place->lane, on);
}

/* Makes the lane due at once, as if it had just moved a packet. */
static void note_woken(const struct worker *worker, struct place *place)
{
	place->due = worker->clock;
	awake_begin(&place->lane->awake, worker->clock);
}

/* Wakes the i-th lane, which dozes. */
static void wake(struct worker *worker, unsigned i)
{
	struct place *places = worker->places;
	unsigned first_armed = worker->n_awake + worker->n_blind;

	note_woken(worker, &places[i]);
	if (i < first_armed) {
		worker->n_blind--;
	} else {
		arm(worker, &places[i], false);
		swap(&places[i], &places[first_armed]);
		i = first_armed;
	}
	swap(&places[i], &places[worker->n_awake++]);
}

static uint64_t blind_pause(const struct worker *worker)
{
	return MIN((worker->clock - worker->silent_since) / RAMP,
		worker->idle_latency_us * worker->us);
}

/* Lets the i-th lane, which is awake, doze off, unless it has got a packet meanwhile. */
static void doze(struct worker *worker, unsigned i)
{
	struct place *place = &worker->places[i], *first_dozing;

	if (can_wake(place)) {
		arm(worker, place, true);
		rte_smp_mb(); /* ask before the last look */
		if (poll_lane(worker, place)) {
			arm(worker, place, false);
			return;
		}
	}
	first_dozing = &worker->places[--worker->n_awake];
	swap(place, first_dozing);
	if (first_dozing->lane->armed) {
		swap(first_dozing, first_dozing + worker->n_blind);
	} else {
		worker->n_blind++;
		worker->silent_since =
			MAX(worker->silent_since, first_dozing->lane->awake.moved_at);
		worker->next_blind = worker->clock + blind_pause(worker);
	}
}

/*
 * Polls the first `n` dozing lanes and wakes those that have packets. Their data has left the
 * cache, so it is fetched first, for all of them at the same time.
 */
static void sweep(struct worker *worker, unsigned n)
{
	const unsigned begin = worker->n_awake;
	const struct place *places = worker->places;

	for (unsigned step = 0; step < PREFETCH_STEPS; step++)
		for (unsigned i = begin; i < begin + n; i++)
			if (places[i].direction == VF_TO_VM)
				vf_to_vm_prefetch((struct vf_to_vm *)places[i].lane, step);
	for (unsigned i = begin; i < begin + n; i++)
		if (poll_lane(worker, &worker->places[i]))
			wake(worker, i);
}

static void sweep_all(struct worker *worker)
{
	sweep(worker, worker->n - worker->n_awake);
}

static void sweep_where_due(struct worker *worker)
{
	if (worker->clock >= worker->next_sweep) {
		sweep_all(worker);
		worker->next_sweep = worker->clock + SWEEP_US * worker->us;
	} else if (worker->n_blind > 0 && worker->clock >= worker->next_blind) {
		sweep(worker, worker->n_blind);
	} else {
		return;
	}
	worker->next_blind = worker->clock + blind_pause(worker);
}

/*
 * Wakes all lanes. No source is asked any more to wake this worker, or another one that had the
 * lane before.
 */
static void rouse(struct worker *worker)
{
	idle_reset(&worker->idle);
	for (unsigned i = 0; i < worker->n; i++) {
		if (worker->places[i].lane->armed)
			arm(worker, &worker->places[i], false);
		note_woken(worker, &worker->places[i]);
	}
	worker->n_awake = worker->n;
	worker->n_blind = 0;
}

static bool is_source(const void *source, const struct place *place)
{
	return source ==
	       (place->direction == VF_TO_VM ? (const void *)place->lane->vf : place->lane);
}

/* Wakes the lanes whose sources have spoken up since the last look. */
static void answer(struct worker *worker)
{
	struct idle_events *events = &worker->events;

	if (events->woken)
		rouse(worker);
	for (unsigned e = 0; e < events->n; e++)
		for (unsigned i = worker->n_awake; i < worker->n; i++)
			if (is_source(events->sources[e], &worker->places[i]))
				wake(worker, i);
	events->woken = false;
	events->n = 0;
}

static void adopt(struct worker *worker, const struct plan *plan)
{
	worker->adopted = plan->number;
	worker->n = plan->n;
	memcpy(worker->places, plan->places, plan->n * sizeof(plan->places[0]));
	worker->events.woken = true;
}

/* Puts silent lanes to sleep, only a few at a time because the others have to wait for it. */
static void doze_off(struct worker *worker)
{
	const bool busy = worker->clock - worker->moved_at < DOZE_US * worker->us;
	unsigned n = 0;

	for (unsigned i = worker->n_awake; i > 0 && n < FEW; i--) {
		if (awake_is_over(
			    &worker->places[i - 1].lane->awake, worker->clock, busy, worker->us)) {
			doze(worker, i - 1);
			n++;
		}
	}
}

static bool is_told_something(const struct worker *worker)
{
	return atomic_load_explicit(&worker->stop, memory_order_relaxed) ||
	       atomic_load_explicit(&worker->plan, memory_order_acquire)->number != worker->adopted;
}

/*
 * Sleeps until the next sweep or until woken. There may be another plan afterwards. The wake-up for
 * a plan that was published while the last one was being adopted has been read away by now
 * (idle_reset()), so this looks once more before it sleeps.
 */
static void sleep_offline(struct worker *worker)
{
	uint64_t start = rte_rdtsc(), until = worker->next_sweep;

	if (is_told_something(worker))
		return;
	if (worker->n_blind > 0)
		until = MIN(until, worker->next_blind);
	if (until <= start)
		return;
	epoch_offline(worker->epoch, worker->index);
	idle_wait(&worker->idle, (until - start) / worker->us, &worker->events);
	epoch_online(worker->epoch, worker->index);
	worker->clock = worker->next_look = rte_rdtsc();
	counter_add(&worker->sleep_cycles, worker->clock - start);
}

/*
 * Looks after dozing lanes, by a poll if that is quicker than asking the kernel, and lets idle
 * lanes doze off. What it hears is answered after the plan has been looked at.
 */
static void look(struct worker *worker)
{
	sweep_where_due(worker);
	doze_off(worker);
	worker->next_look = worker->clock + awake_look(worker->us, worker->idle_latency_us);
	if (worker->n_awake == 0)
		sleep_offline(worker);
	else if (worker->n - worker->n_awake <= FEW)
		sweep_all(worker);
	else
		idle_wait(&worker->idle, 0, &worker->events);
}

int worker_main(void *argument)
{
	struct worker *worker = argument;

	atomic_store(&worker->thread, gettid());
	prctl(PR_SET_TIMERSLACK, 1000 /* ns; the default adds 50 us to every sleep */);
	worker->us = rte_get_tsc_hz() / 1000000;
	worker->clock = rte_rdtsc();
	worker->adopted = UINT_MAX;
	epoch_online(worker->epoch, worker->index);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		const struct plan *plan = atomic_load_explicit(&worker->plan, memory_order_acquire);
		bool moved = false;

		if (unlikely(plan->number != worker->adopted))
			adopt(worker, plan);
		answer(worker);
		for (unsigned i = 0; i < worker->n_awake; i++)
			if (worker->clock >= worker->places[i].due)
				moved |= poll_lane(worker, &worker->places[i]);
		if (!moved) {
			rte_pause();
			worker->clock = rte_rdtsc();
			if (unlikely(worker->yielding))
				end_yielding(worker);
		}
		if (worker->idle_latency_us != 0 && worker->clock >= worker->next_look)
			look(worker);
		epoch_quiescent(worker->epoch, worker->index);
	}
	epoch_offline(worker->epoch, worker->index);
	atomic_store_explicit(&worker->stopped, true, memory_order_release);
	return 0;
}
