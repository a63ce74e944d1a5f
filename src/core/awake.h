/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long a lane that has no packets is polled on, and how often a lane is.
 *
 * Theory. A lane that has moved nothing for DOZE_US dozes off (worker.h).
 *
 * A lane that works earns patience: an eighth of the time that its packets take. A longer silence
 * uses it up, and while there is some the lane stays awake. So a VM that sends or takes nothing for
 * a moment, because its CPU is another's, finds its relay awake, and what is polled in vain stays
 * in proportion to what is not.
 *
 * To put a lane to sleep and to wake it up takes system calls, and the guest one as well. While
 * others keep the worker busy a lane stays awake for DOZE_BUSY_US, so many lanes that have work in
 * turn are seldom put to sleep. One that its patience keeps awake no more is polled after an eighth
 * of its silence so far; at LOOK_US at the latest, as if it dozed.
 *
 * A lane that had few packets rests for half as long again as its worker has worked since its last
 * ones, so three fifths of the time where it is the only one, but is polled PACE_US after this poll
 * began at the latest; one that lives on its patience just then. What a burst costs hardly depends
 * on how many packets are in it: most of it is cache lines that travel between this CPU and the
 * guest's, and their number is that of the bursts. To rest for longer would save more of them, and
 * make a packet wait for longer than with those who never rest: their bursts are smaller, so they
 * need more time for them.
 *
 * Nothing waits for longer than the operator's latency. With one of 0 nothing waits at all, but for
 * lanes without a VM, which have nothing to wait for (worker.c).
 *
 * Times are TSC cycles, of which `us` are a microsecond, but for the latency. The worker that has
 * the lane.
 */

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>

#define DOZE_US 100       /* of silence, until a lane dozes off, at least */
#define DOZE_MAX_US 20000 /* and at most: longer than a virtual CPU waits for its turn */
#define DOZE_BUSY_US 2000 /* while others are busy: its polls take as long as to wake it up */
#define PACE_US 2         /* between two polls of a lane that has packets, at most */
#define FULL_BURST 32     /* received and sent in a poll: more may be waiting */
#define LOOK_US 50        /* the longest rest, and between two looks after those that doze */
#define RAMP 8            /* 1/8 of the silence so far, or of the work */

struct awake {
	uint64_t moved_at; /* when the lane moved a packet last, or was woken */
	uint64_t patience; /* for how long it may be silent, for its work */
};

static inline uint64_t awake_silence(const struct awake *awake, uint64_t now)
{
	return now - awake->moved_at;
}

/* True where it has been silent for so long that it would doze, did nothing keep it awake. */
static inline bool awake_is_kept(const struct awake *awake, uint64_t now, uint64_t us)
{
	return awake_silence(awake, now) > DOZE_US * us;
}

/* The lane is polled from now on. */
static inline void awake_begin(struct awake *awake, uint64_t now)
{
	*awake = (struct awake){.moved_at = now};
}

/* Its packets have taken the time from `begin` to `end`. */
static inline void awake_moved(struct awake *awake, uint64_t begin, uint64_t end, uint64_t us)
{
	if (unlikely(awake_is_kept(awake, begin, us)))
		awake->patience -= RTE_MIN(awake->patience, awake_silence(awake, begin));
	awake->patience = RTE_MIN(awake->patience + (end - begin) / RAMP, DOZE_MAX_US * us);
	awake->moved_at = end;
}

/*
 * When it is polled again after a poll from `begin` to `end` that moved `n` packets. `worked`: by
 * all lanes of the worker, since the end of the last poll of this one that moved some.
 */
static inline uint64_t awake_due(
	uint64_t begin, uint64_t end, uint64_t worked, unsigned n, uint64_t us, unsigned latency_us)
{
	if (n >= FULL_BURST)
		return end;
	return RTE_MIN(end + worked + worked / 2, begin + RTE_MIN(PACE_US, latency_us) * us);
}

/* The same after a poll at `now` that moved nothing. */
static inline uint64_t awake_due_silent(
	const struct awake *awake, uint64_t now, uint64_t us, unsigned latency_us)
{
	if (!awake_is_kept(awake, now, us))
		return now;
	if (awake_silence(awake, now) <= awake->patience)
		return now + RTE_MIN(PACE_US, latency_us) * us;
	return now + RTE_MIN(awake_silence(awake, now) / RAMP, RTE_MIN(LOOK_US, latency_us) * us);
}

/* True where it is to doze off. `busy`: others have moved packets lately. */
static inline bool awake_is_over(const struct awake *awake, uint64_t now, bool busy, uint64_t us)
{
	return awake_silence(awake, now) >=
	       RTE_MAX((busy ? DOZE_BUSY_US : DOZE_US) * us, awake->patience);
}
