/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A plan in words. Pure. */

#include "sched/policy.h"

#define EXPLAIN_SIZE 256

/* "relay 3 VM to VF (31.0 % of a core): CPU 1 -> CPU 2, to relieve a saturated CPU" */
void explain_move(const struct sched_input *input, const struct sched_move *move,
	char ret_text[static EXPLAIN_SIZE]);

/* "NUMA node 0: worst CPU 92.0 -> 51.0 %, ...: 1 move, worth the sensitivity of 0.25" */
void explain_finding(const struct sched_input *input, const struct sched_finding *found,
	char ret_text[static EXPLAIN_SIZE]);
