/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How much of a core a lane needs: smoothed over samples, and estimated from packet rates if nobody
 * has measured it. Pure.
 */

#include <stdbool.h>

#include "sched/policy.h"

/* The share of one core that a lane with this traffic needs, by the published weights. */
double load_from_rates(enum direction direction, double packets_per_s, double bytes_per_s);

/*
 * A smoothed load. Noise is averaged away, but a step is believed at once: a sample far outside the
 * deviation seen so far replaces the mean. Since the step then counts as deviation, a load that
 * jumps to and fro with every sample is averaged too.
 */
struct load_estimate {
	bool known;
	double mean;
	double deviation; /* mean absolute difference of a sample from the mean */
};

void load_estimate_add(struct load_estimate *estimate, double sample);
