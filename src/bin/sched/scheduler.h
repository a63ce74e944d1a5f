/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the core scheduler does at each poll. One thread; blocks for up to a few timeouts of
 * client.h.
 */

#include "bin/sched/observer.h"
#include "config/config.h"

struct scheduler {
	const struct config_sched *config;
	struct observer observer;
	bool connected;
	char last_error[ERR_TEXT_SIZE]; /* the last error logged, not to be repeated */
	unsigned n_verdicts;
	enum sched_verdict verdicts[WORKERS_MAX]; /* the verdicts logged last, by finding */
};

/*
 * Reads the loads and moves relays if that helps; a dry run prints what it would do. Returns
 * whether a plan was made, or a negative errno after logging the error.
 */
int scheduler_poll(struct scheduler *scheduler);

void scheduler_fini(struct scheduler *scheduler);
