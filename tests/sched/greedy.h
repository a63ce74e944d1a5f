/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "sched/policy.h"

/*
 * What the simulator compares with: on each node all lanes are dealt out afresh, the longest first
 * to the least loaded worker, and that is taken where the coefficient of variation falls by the
 * sensitivity. Writes the worker of each lane to `at`; returns how many have changed.
 */
unsigned greedy_place(const struct sched_input *input, unsigned at[SCHED_LANES_MAX]);
