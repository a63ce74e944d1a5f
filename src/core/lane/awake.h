/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long a lane without packets stays awake, and how often an awake lane is polled.
 *
 * Theory. A lane that has moved no packet for DOZE_US dozes off (worker.h), unless one of two
 * things keeps it awake:
 *
 * - Patience. A lane earns patience by its work: an eighth of the time that its packets take. A
 *   silence longer than DOZE_US uses patience up; while some is left, the lane stays awake. So a VM
 *   that stops for a moment because another has its CPU finds its relay awake, and polling in vain
 *   stays in proportion to useful work.
 * - A busy worker. Putting a lane to sleep and waking it up takes system calls, in the guest too.
 *   While other lanes keep the worker busy, a lane stays awake for DOZE_BUSY_US. So many lanes that
 *   have work in turn are seldom put to sleep. When its patience has run out, such a lane is polled
 *   after an eighth of its silence so far, and at the latest after LOOK_US, as if it dozed.
 *
 * A lane that moved few packets rests. The rest is one and a half times the time that its worker
 * has worked since the lane's last packets: a worker with one lane rests for three fifths of its
 * time. But the lane is polled again at the latest PACE_US after this poll began. A lane that lives
 * on its patience is polled every PACE_US. The cost of a burst hardly depends on the number of its
 * packets: most of it is cache lines that travel between this CPU and the guest's, and their number
 * grows with the number of bursts. A longer rest would save more of them, but packets would then
 * wait longer here than with forwarders that never rest; those have smaller bursts and so need more
 * time for the same packets.
 *
 * No packet waits longer than the operator's latency. With a latency of 0 nothing waits at all,
 * except lanes without a VM, which have nothing to wait for, and lanes that yield (worker.h).
 *
 * Times are in TSC cycles, `us` of which make a microsecond; the latency is in microseconds. All
 * functions: the worker that has the lane.
 */

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>

#define DOZE_US 100       /* silence before a lane dozes off, at least */
#define DOZE_MAX_US 20000 /* and at most: longer than a virtual CPU waits for its turn */
#define DOZE_BUSY_US 2000 /* while others are busy: costs as much as one wake-up */
#define PACE_US 2         /* between the starts of two polls of a lane that has packets, at most */
#define MANY_MOVED 32     /* received plus sent in one poll (lane.h): more may be waiting */
#define LOOK_US 50        /* awake_look(), if the operator allows that much */
#define RAMP 8            /* a divisor: an eighth of the silence so far, or of the work */

struct awake {
	uint64_t moved_at; /* when the lane last moved a packet or was woken */
	/*
	 * RAMP times the patience that is left. In whole cycles of a slow TSC, as many CPUs of ARM
	 * have, a short burst would earn none.
	 */
	uint64_t work;
};

/* The longest rest; also the interval of looking after lanes that doze. */
static inline uint64_t awake_look(uint64_t us, unsigned latency_us)
{
	return RTE_MIN(LOOK_US, latency_us) * us;
}

static inline uint64_t awake_silence(const struct awake *awake, uint64_t now)
{
	return now - awake->moved_at;
}

/* True if the lane has been silent so long that it would doze if nothing kept it awake. */
static inline bool awake_is_kept(const struct awake *awake, uint64_t now, uint64_t us)
{
	return awake_silence(awake, now) > DOZE_US * us;
}

static inline uint64_t awake_patience(const struct awake *awake)
{
	return awake->work / RAMP;
}

/* The lane is polled from now on. */
static inline void awake_begin(struct awake *awake, uint64_t now)
{
	*awake = (struct awake){.moved_at = now};
}

/* The lane moved packets in a poll from `begin` to `end`. */
static inline void awake_moved(struct awake *awake, uint64_t begin, uint64_t end, uint64_t us)
{
	if (unlikely(awake_is_kept(awake, begin, us)))
		awake->work -= RTE_MIN(awake->work, RAMP * awake_silence(awake, begin));
	awake->work = RTE_MIN(awake->work + (end - begin), RAMP * DOZE_MAX_US * us);
	awake->moved_at = end;
}

/*
 * When to poll the lane again after a poll from `begin` to `end` that moved `n` packets. `worked`:
 * the time that all lanes of the worker have worked since the end of this lane's last poll that
 * moved packets.
 */
static inline uint64_t awake_due(
	uint64_t begin, uint64_t end, uint64_t worked, unsigned n, uint64_t us, unsigned latency_us)
{
	if (n >= MANY_MOVED)
		return end;
	return RTE_MIN(end + worked + worked / 2, begin + RTE_MIN(PACE_US, latency_us) * us);
}

/* The same after a poll at `now` that moved nothing. */
static inline uint64_t awake_due_silent(
	const struct awake *awake, uint64_t now, uint64_t us, unsigned latency_us)
{
	if (!awake_is_kept(awake, now, us))
		return now;
	if (awake_silence(awake, now) <= awake_patience(awake))
		return now + RTE_MIN(PACE_US, latency_us) * us;
	return now + RTE_MIN(awake_silence(awake, now) / RAMP, awake_look(us, latency_us));
}

/* True if the lane is to doze off. `busy`: others have moved packets lately. */
static inline bool awake_is_over(const struct awake *awake, uint64_t now, bool busy, uint64_t us)
{
	return awake_silence(awake, now) >=
	       RTE_MAX((busy ? DOZE_BUSY_US : DOZE_US) * us, awake_patience(awake));
}
