/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Turns the daemon's answers into the policy's picture of the machine. One thread. */

#include "bin/sched/meter.h"
#include "sched/load.h"

struct observer {
	struct meter meter;
	struct cpu_set workers;
	struct load_estimate estimates[RELAYS_MAX][DIRECTIONS_N][SLICES_MAX];
};

/*
 * Takes over an answer. Returns false if the daemon was restarted since the last one, or has other
 * workers; then everything known before is forgotten.
 */
bool observer_take(struct observer *observer, const struct cpu_set *workers,
	struct stats_reply *reply, uint64_t now_ns);

void observer_reset(struct observer *observer);

/*
 * The present picture; sensitivity and global_numa are left alone. Returns false if there is none:
 * fewer than two answers so far, or no worker.
 */
bool observer_look(const struct observer *observer, struct sched_input *ret_input);
