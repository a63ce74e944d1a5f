/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* From the daemon's answers to the policy's picture of the machine. One thread. */

#include "bin/sched/meter.h"
#include "sched/load.h"

struct observer {
	struct meter meter;
	struct cpu_set workers;
	struct load_estimate estimates[RELAYS_MAX][SCHED_DIRECTIONS_N][SLICES_MAX];
	bool pinned[RELAYS_MAX]; /* as the config endpoint tells */
};

/*
 * Takes an answer, which becomes the observer's. False where the daemon was started anew since the
 * last one; what was known is forgotten then, pins too.
 */
bool observer_take(struct observer *observer, const struct cpu_set *workers,
	struct stats_reply *reply, uint64_t now_ns);

void observer_reset(struct observer *observer);

/*
 * The present picture; sensitivity and global_numa are left alone. False where there is none:
 * there were less than two answers yet, or there is no worker.
 */
bool observer_look(const struct observer *observer, struct sched_input *ret_input);
