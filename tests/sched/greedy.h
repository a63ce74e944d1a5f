/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "sched/policy.h"

/*
 * What the simulator compares with. On each node all lanes are dealt out from scratch, the longest
 * first to the least loaded worker. The result is adopted if the coefficient of variation falls by
 * the sensitivity. Writes the worker of each lane to `at`; returns how many have changed.
 */
unsigned greedy_place(const struct sched_input *input, unsigned at[SCHED_LANES_MAX]);
