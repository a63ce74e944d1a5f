/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long the packets of a stream are under way, where both ends are ours. Packets are known by
 * flow and sequence number; at most LATENCY_WINDOW of a flow may be under way, or they are mistaken
 * for each other: so it is for a sender at a fixed rate.
 */

#include <stdint.h>

#include "options.h"

#define LATENCY_WINDOW 1024
#define LATENCY_SAMPLES_MAX 1000000 /* later ones are not counted */

struct latency {
	uint64_t sent_tsc[MAX_FLOWS][LATENCY_WINDOW];
	unsigned n;
	float us[LATENCY_SAMPLES_MAX];
};

void latency_sent(struct latency *latency, unsigned flow, uint64_t seq, uint64_t now_tsc);
void latency_received(struct latency *latency, unsigned flow, uint64_t seq, uint64_t now_tsc);

/* Prints the quantiles as a JSON object; sorts the samples. */
void latency_print(struct latency *latency);
