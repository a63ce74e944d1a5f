/* SPDX-License-Identifier: BSD-3-Clause */
#include "latency.h"

#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>

void latency_sent(struct latency *latency, unsigned flow, uint64_t seq, uint64_t now_tsc)
{
	latency->sent_tsc[flow][seq % LATENCY_WINDOW] = now_tsc;
}

void latency_received(struct latency *latency, unsigned flow, uint64_t seq, uint64_t now_tsc)
{
	uint64_t sent_tsc = latency->sent_tsc[flow][seq % LATENCY_WINDOW];

	if (latency->n < LATENCY_SAMPLES_MAX)
		latency->us[latency->n++] =
			(float)(now_tsc - sent_tsc) * 1e6f / (float)rte_get_tsc_hz();
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

void latency_print(struct latency *latency)
{
	static const struct {
		const char *name;
		double part;
	} quantiles[] = {{"min", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

	qsort(latency->us, latency->n, sizeof(latency->us[0]), ascending);
	printf("{\"samples\": %u", latency->n);
	for (unsigned i = 0; latency->n > 0 && i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		printf(", \"%s\": %.1f", quantiles[i].name,
			(double)latency->us[(unsigned)(quantiles[i].part * (latency->n - 1))]);
	printf("}");
}
