/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How long the packets of a stream are under way, if both ends are ours. Packets are identified by
 * flow and sequence number. No more than LATENCY_WINDOW packets of a flow may be under way, or they
 * are confused with each other; so this is for senders at a fixed rate.
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
