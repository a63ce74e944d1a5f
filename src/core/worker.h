/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One worker: the lanes it has, which of them it polls, and when it sleeps.
 *
 * Theory. A lane is *awake* or *dozes*. The worker polls those that are awake, round and round. One
 * that has moved nothing for a while (awake.h) dozes off: where its source can wake it (idle.h) the
 * source is asked to and the lane is not polled until then; where it cannot (a device without
 * interrupts, a backlog that waits for room) the lane is *blind* and is polled now and then. When
 * all doze the worker sleeps. So idle lanes cost the busy ones next to nothing, and a silent worker
 * costs next to nothing at all.
 *
 * Blind lanes are polled after an eighth of the silence so far has passed, or the latency that the
 * operator allows, whichever is less: a gap between two packets becomes longer by an eighth at
 * most, and after a long silence a poll every now and then will do.
 *
 * While others keep the worker busy it looks every LOOK_US after those that doze. Every
 * SWEEP_US all of them are polled, asked or not: that is the answer to a guest that changed its
 * eventfd at the wrong moment.
 *
 * With a latency of 0 nothing dozes, ever, and nothing waits but lanes without a VM.
 */

#include <stdatomic.h>

#include "core/awake.h"
#include "core/idle.h"
#include "core/vf.h"
#include "core/workers.h"

#define FEW 8           /* lanes: to poll them takes no longer than a system call */
#define SWEEP_US 100000 /* between two polls of all lanes that doze; the longest sleep */

#define LANES_MAX (DIRECTIONS_N * RELAYS_MAX * SLICES_MAX)

struct place {
	enum direction direction;
	struct lane *lane;
	/* The worker's own, TSC cycles: */
	uint64_t due;    /* not polled before */
	uint64_t worked; /* the worker's busy_cycles when this lane moved packets last */
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
	unsigned lcore; /* DPDK's number of the thread, */
	unsigned cpu;   /* and the one CPU on which it runs */

	/* The worker's own. Times are in TSC cycles. */
	unsigned adopted; /* number of the plan */
	unsigned n;
	unsigned n_awake; /* they come first in `places`; the others doze: */
	unsigned n_blind; /* so many that cannot be woken come next, then those that can */
	struct place places[LANES_MAX];
	uint64_t us;               /* cycles in one */
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
