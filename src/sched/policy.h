/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which lane should run on which worker: a pure function from a picture of the machine to a few
 * moves.
 *
 * Theory. A lane is one direction of one relay, or a slice of it if the daemon has split it over
 * device queues. It runs on one worker and moves as a whole. Loads are shares of one core. The
 * workers of a NUMA node form a domain, within which lanes are balanced (with global_numa all
 * workers are one domain). A lane that is on another node than its memory comes home first, or is
 * balanced where it is if its home has no room.
 *
 * In each domain a search starts from the present placement. It repeatedly takes the step, a move
 * of one lane or an exchange of two, that lowers the load of the most loaded worker the most, until
 * no step gains more than its moves cost (SCHED_MOVE_COST of a core each). If the most loaded
 * worker cannot be relieved, the next one is tried. Since the search starts from the present
 * placement, it needs few moves, unlike one that deals out all lanes from scratch.
 *
 * Then the result is weighed. Its imbalance is the worst worker's load above the mean, relative to
 * the mean. With two workers this equals the coefficient of variation; unlike that, it does not
 * fade among many workers. The moves are made
 * - if the coefficient of variation or the imbalance falls by `sensitivity` or more, and some
 *   worker is relieved,
 * - or if a saturated worker (SCHED_SATURATED), which loses packets, is relieved; it need not be
 *   the worst one, which may be beyond help.
 * A worker is relieved if its load exceeds, by SCHED_RELIEF_MIN or more, the highest load
 * afterwards among itself and the workers that got lanes of it. So it does not matter how evenly a
 * tiny load is spread, and lanes do not go to and fro between two full workers.
 *
 * The work is bounded by SCHED_LANES_MAX steps of SCHED_LANES_MAX * SCHED_LANES_MAX trials.
 */

#include <stdbool.h>

#include "base/direction.h"
#include "base/limits.h"

#define SCHED_LANES_MAX (DIRECTIONS_N * RELAYS_MAX * SLICES_MAX)

#define SCHED_MOVE_COST 0.01   /* what a move must gain, in cores */
#define SCHED_REMOTE_COST 0.05 /* cost of a lane on another node than its own, in cores */
#define SCHED_RELIEF_MIN 0.05  /* what a plan must gain, in cores */
#define SCHED_SATURATED 0.95   /* load of a worker that is about to lose packets */

struct sched_worker {
	unsigned cpu;
	int numa_node; /* -1: unknown */
};

struct sched_lane {
	unsigned relay_id;
	enum direction direction;
	unsigned slice;    /* 0..n_slices-1 */
	unsigned n_slices; /* of the direction; 0 or 1: not split */
	unsigned worker;   /* runs it; an index into the workers */
	double load;       /* share of one core, >= 0 */
	int numa_node;     /* of the VM's memory and the packet pool; -1: unknown */
	bool pinned;       /* must not move */
};

struct sched_input {
	unsigned n_workers; /* 1..WORKERS_MAX */
	unsigned n_lanes;   /* 0..SCHED_LANES_MAX */
	struct sched_worker workers[WORKERS_MAX];
	struct sched_lane lanes[SCHED_LANES_MAX];
	double sensitivity; /* 0..1 */
	bool global_numa;   /* place lanes on any node */
};

enum sched_reason {
	SCHED_BALANCE,  /* the load becomes more even */
	SCHED_OVERLOAD, /* a saturated worker is relieved */
	SCHED_LOCALITY, /* the lane moves to the node of its memory */
};

struct sched_move {
	unsigned lane; /* an index into the lanes */
	unsigned to;   /* an index into the workers */
	enum sched_reason reason;
};

/* How the load of a domain is spread. */
struct sched_spread {
	double worst;     /* the most loaded worker's load, in cores */
	double variation; /* coefficient of variation: standard deviation / mean */
	double imbalance; /* worst / mean - 1 */
};

enum sched_verdict {
	SCHED_VERDICT_EVEN,    /* no step is worth its moves */
	SCHED_VERDICT_STAY,    /* a better placement exists, but is not worth it */
	SCHED_VERDICT_BALANCE, /* better by the sensitivity or more */
	SCHED_VERDICT_RELIEVE, /* a saturated worker must be relieved */
};

/* What was found in one domain. */
struct sched_finding {
	int numa_node; /* -1: all, or unknown */
	enum sched_verdict verdict;
	struct sched_spread now;
	struct sched_spread then; /* with the best placement found, adopted or not */
	unsigned n_moves;         /* needed for that placement */
};

struct sched_plan {
	unsigned n_moves; /* no lane twice */
	struct sched_move moves[SCHED_LANES_MAX];
	unsigned n_findings;
	struct sched_finding findings[WORKERS_MAX];
};

/* Plans moves; the same input gives the same plan. Pure; any thread; does not fail. */
void sched_plan(const struct sched_input *input, struct sched_plan *ret_plan);
