/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the core scheduler does at each poll. One thread; blocks for a few timeouts of client.h. */

#include "bin/sched/observer.h"
#include "config/config.h"

struct scheduler {
	const struct config_sched *config;
	struct observer observer;
	bool connected;
	bool pins_known;
	char last_error[ERR_TEXT_SIZE]; /* what was said last, not to be repeated */
	unsigned n_verdicts;
	enum sched_verdict verdicts[WORKERS_MAX]; /* logged last, by finding */
};

/*
 * Looks at the load and moves relays where that helps, or prints what it would do in a dry run.
 * Returns whether a plan was made, or a negative errno, which has been logged.
 */
int scheduler_poll(struct scheduler *scheduler);

void scheduler_fini(struct scheduler *scheduler);
