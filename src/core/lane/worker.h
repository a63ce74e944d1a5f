/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One worker: which lanes it has, which of them it polls, and when it sleeps.
 *
 * Theory. A lane is *awake* or *dozes*. The worker polls the awake lanes in turn. A lane that has
 * moved nothing for a while (awake.h) dozes off. If its source can wake it (idle.h), the source is
 * asked to, and the lane is not polled until then. If not (a device without interrupts, a backlog
 * that waits for room), the lane is *blind* and is polled now and then. When all lanes doze, the
 * worker sleeps. So idle lanes cost the busy ones next to nothing, and a silent worker costs next
 * to nothing at all.
 *
 * Blind lanes are polled after an eighth of the silence so far, or after the latency that the
 * operator allows, whichever is less. So a gap between two packets grows by an eighth at most, and
 * after a long silence the polls are rare.
 *
 * While some lanes keep the worker awake, it looks after the dozing ones (awake_look()). Every
 * SWEEP_US all dozing lanes are polled, asked for or not, in case a guest has changed its eventfd
 * at the wrong moment.
 *
 * A burst is bounded in packets, bytes and descriptors, but what one costs depends on the guest: on
 * where its buffers lie, whether they are cached or mapped yet, and on what is to be cut and
 * summed. A lane whose poll has taken longer than TURN_US *yields* to those that moved many packets
 * last time (MANY_MOVED): until no lane has packets, or until each of those could have had as much
 * time. So a lane whose packets are dear costs another one at most TURN_US between two bursts, or
 * else no more than an equal share of a worker that is full.
 *
 * With a latency of 0 nothing ever dozes, and nothing waits except lanes without a VM, or that
 * yield.
 */

#include <stdatomic.h>

#include "base/cpu_keeper.h"
#include "core/lane/awake.h"
#include "core/lane/idle.h"
#include "core/lane/workers.h"
#include "core/vf/vf.h"

#define FEW 8      /* lanes: polling them takes no longer than a system call */
#define TURN_US 50 /* longer than a usual burst takes */
#define YIELD_MAX_US 1000
#define SWEEP_US 100000 /* between two polls of all dozing lanes; the longest sleep */

#define LANES_MAX (DIRECTIONS_N * RELAYS_MAX * SLICES_MAX)

struct place {
	enum direction direction;
	struct lane *lane;
	/* The worker's own; TSC cycles. */
	uint64_t due;    /* not polled before this */
	bool yields;     /* until then, or until no other lane has packets */
	bool many;       /* its last poll moved MANY_MOVED or more */
	uint64_t worked; /* the worker's busy_cycles when this lane last moved packets */
};

/* The lanes of a worker. Constant while published. */
struct plan {
	unsigned number; /* counts the worker's plans, since a sleeper may miss some */
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
	_Atomic pid_t thread; /* 0: it has not begun yet */
	_Atomic bool stopped; /* it touches nothing of this struct any more */
	/* One is published, the other is for the control thread to write. */
	struct plan plans[2];
	struct cpu_keeper keeper; /* the control thread's own */
	struct idle idle;         /* idle.h says what is the worker's */
	/* Constant. */
	unsigned idle_latency_us; /* 0: nothing ever dozes */
	struct epoch *epoch;
	unsigned index; /* in the table of workers; also its reader number in the epoch */
	unsigned lcore; /* DPDK's number of the thread */
	unsigned cpu;   /* the one CPU on which it should run */

	/* The worker's own. Times are in TSC cycles. */
	unsigned adopted; /* number of the plan in use */
	unsigned n;
	unsigned n_awake; /* these come first in `places`; the others doze */
	unsigned n_blind; /* next come those that cannot be woken, last those that can */
	struct place places[LANES_MAX];
	uint64_t us;               /* cycles in a microsecond */
	uint64_t clock;            /* as last read */
	bool yielding;             /* some lane yields */
	uint64_t moved_at;         /* when a lane last moved a packet */
	uint64_t next_look;        /* when to look after dozing lanes */
	uint64_t next_sweep;       /* when to poll all dozing lanes */
	uint64_t next_blind;       /* when to poll the blind ones */
	uint64_t silent_since;     /* when a blind one last moved a packet */
	struct idle_events events; /* heard but not answered yet */
};

/* The thread of a worker; its argument is the struct worker. Runs until `stop`. */
int worker_main(void *worker);
