/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One worker: the lanes it has, which of them it polls, and when it sleeps.
 *
 * Theory. A lane is *awake* or *dozes*. The worker polls those that are awake, round and round. One
 * that has moved nothing for DOZE_US dozes off: where its source can wake it (idle.h) the source is
 * asked to and the lane is not polled until then; where it cannot (a device without interrupts, a
 * backlog that waits for room) the lane is *blind* and is polled now and then. When all doze the
 * worker sleeps. So idle lanes cost the busy ones next to nothing, and a silent worker costs next
 * to nothing at all.
 *
 * A lane that works earns patience: an eighth of the time that its packets take. A longer silence
 * uses it up, and while there is some the lane stays awake. So a VM that sends or takes nothing for
 * a moment, because its CPU is another's, finds its relay awake, and what is polled in vain stays
 * in proportion to what is not.
 *
 * To put a lane to sleep and to wake it up takes system calls, and the guest one as well. While
 * others keep the worker busy a lane stays awake for DOZE_BUSY_US, so many lanes that have work in
 * turn are seldom put to sleep. One that its patience keeps awake no more is polled after an eighth
 * of its silence so far; at LOOK_US at the latest, as if it dozed, or the operator's latency.
 *
 * Blind lanes are polled after an eighth of the silence so far has passed, or the latency that the
 * operator allows, whichever is less: a gap between two packets becomes longer by an eighth at
 * most, and after a long silence a poll every now and then will do.
 *
 * While others keep the worker busy it looks every LOOK_US after those that doze. Every
 * SWEEP_US all of them are polled, asked or not: that is the answer to a guest that changed its
 * eventfd at the wrong moment.
 *
 * A lane that is awake and had few packets, or lives on its patience, is polled again PACE_US later
 * and not before. What a burst costs hardly depends on how many packets are in it: most of it is
 * cache lines that travel between this CPU and the guest's, and their number is that of the bursts.
 *
 * With a latency of 0 nothing dozes, ever, and nothing waits.
 */

#include <stdatomic.h>

#include "core/idle.h"
#include "core/vf.h"
#include "core/workers.h"

#define DOZE_US 100       /* of silence, until a lane dozes off, at least */
#define DOZE_MAX_US 20000 /* and at most: longer than a virtual CPU waits for its turn */
#define DOZE_BUSY_US 2000 /* while others are busy: its polls take as long as to wake it up */
#define PACE_US 2         /* between two polls of a lane */
#define FULL_BURST 32     /* received and sent in a poll: more may be waiting */
#define LOOK_US 50        /* between two looks after the lanes that doze, at least */
#define FEW 8             /* lanes: to poll them takes no longer than a system call */
#define SWEEP_US 100000   /* between two polls of all lanes that doze; the longest sleep */
#define RAMP 8            /* 1/8 of the silence so far, or of the work */

#define LANES_MAX (DIRECTIONS_N * RELAYS_MAX * VF_QUEUES_MAX)

struct place {
	enum direction direction;
	struct lane *lane;
	uint64_t due; /* TSC, not polled before; the worker's */
};

/* The lanes of a worker. Constant while published. */
struct plan {
	unsigned number; /* of all that the worker was given: a sleeper may miss some */
	unsigned n;
	struct place places[LANES_MAX];
};

struct worker {
	/* Written by the control thread, read by the worker. */
	_Atomic(struct plan *) plan;
	_Atomic bool stop;
	/* Written by the worker, read by the control thread. TSC cycles. */
	_Atomic uint64_t busy_cycles;
	_Atomic uint64_t sleep_cycles;
	_Atomic bool stopped; /* it touches nothing of this any more */
	/* One is published, the other is the control thread's to write. */
	struct plan plans[2];
	/* Constant. */
	struct idle idle;
	unsigned idle_latency_us; /* 0: nothing ever dozes */
	struct epoch *epoch;
	unsigned index; /* in the table of workers, and as a reader of the epoch */
	unsigned lcore; /* DPDK's number of the thread */

	/* The worker's own. Times are in TSC cycles. */
	unsigned n;
	unsigned n_awake; /* they come first in `places`; the others doze: */
	unsigned n_blind; /* so many that cannot be woken come next, then those that can */
	struct place places[LANES_MAX];
	uint64_t us;               /* cycles in one */
	uint64_t pace;             /* between two polls of a lane with few packets */
	uint64_t clock;            /* as it was read last */
	uint64_t moved_at;         /* when a lane moved a packet last */
	uint64_t next_look;        /* after those that doze */
	uint64_t next_sweep;       /* poll of all of them */
	uint64_t next_blind;       /* poll of the blind ones */
	uint64_t silent_since;     /* when a blind one moved a packet last */
	struct idle_events events; /* heard and not answered yet */
};

/* The thread of a worker: runs until `stop`. */
int worker_main(void *worker);
