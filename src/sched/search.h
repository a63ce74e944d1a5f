/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The search described in policy.h: a placement that starts as the present one and is improved step
 * by step. Pure.
 */

#include "sched/policy.h"

struct search {
	const struct sched_input *input;
	unsigned at[SCHED_LANES_MAX]; /* the worker of each lane */
	double load[WORKERS_MAX];     /* of each worker */
	int home[SCHED_LANES_MAX];    /* the domain that each lane belongs to */
	int domain[WORKERS_MAX];      /* of each worker */
	bool movable[SCHED_LANES_MAX];
};

/* Starts from the present placement. */
void search_init(struct search *search, const struct sched_input *input);

/* Puts a lane on another worker. */
void search_place(struct search *search, unsigned lane, unsigned worker);

/* Improves the placement of the lanes whose home is `domain`, within that domain. */
void search_improve(struct search *search, int domain);
