/* SPDX-License-Identifier: BSD-3-Clause */
#include "sched/load.h"

#include <math.h>

#define MEAN_GAIN 0.25
#define DEVIATION_GAIN 0.25
#define STEP_DEVIATIONS 4.0
#define STEP_MIN 0.02 /* cores */

/* Published for virtio-forwarder: cores per million packets and per megabyte per second. */
static const struct {
	double per_mpps;
	double per_mbps;
} weights[DIRECTIONS_N] = {
	[VF_TO_VM] = {0.0795, 8.2e-5},
	[VM_TO_VF] = {0.082, 9.3e-5},
};

double load_from_rates(enum direction direction, double packets_per_s, double bytes_per_s)
{
	return weights[direction].per_mpps * packets_per_s * 1e-6 +
	       weights[direction].per_mbps * bytes_per_s * 1e-6;
}

void load_estimate_add(struct load_estimate *estimate, double sample)
{
	double difference = sample - estimate->mean;
	double expected = STEP_DEVIATIONS * estimate->deviation + STEP_MIN;

	if (!estimate->known) {
		*estimate = (struct load_estimate){.known = true, .mean = sample};
		return;
	}
	estimate->mean += fabs(difference) > expected ? difference : MEAN_GAIN * difference;
	estimate->deviation += DEVIATION_GAIN * (fabs(difference) - estimate->deviation);
}
