/* SPDX-License-Identifier: BSD-3-Clause */
#include "sched/explain.h"

#include <stdio.h>

#define VERDICT_SIZE 128

static const char *const direction_names[DIRECTIONS_N] = {
	[VF_TO_VM] = "VF to VM",
	[VM_TO_VF] = "VM to VF",
};

static const char *const reason_names[] = {
	[SCHED_BALANCE] = "to balance the load",
	[SCHED_OVERLOAD] = "to relieve a saturated CPU",
	[SCHED_LOCALITY] = "to the NUMA node of its memory",
};

void explain_move(const struct sched_input *input, const struct sched_move *move,
	char ret_text[static EXPLAIN_SIZE])
{
	const struct sched_lane *lane = &input->lanes[move->lane];
	char slice[32] = "";

	if (lane->n_slices > 1)
		snprintf(slice, sizeof(slice), ", slice %u of %u", lane->slice + 1, lane->n_slices);
	snprintf(ret_text, EXPLAIN_SIZE, "relay %u %s%s (%.1f %% of a core): CPU %u -> CPU %u, %s",
		lane->relay_id, direction_names[lane->direction], slice, lane->load * 100,
		input->workers[lane->worker].cpu, input->workers[move->to].cpu,
		reason_names[move->reason]);
}

/* "3 moves", and why they are made or not made. */
static void explain_verdict(const struct sched_input *input, const struct sched_finding *found,
	char ret_text[static VERDICT_SIZE])
{
	unsigned n = found->n_moves;
	const char *moves = n == 1 ? "move" : "moves";

	switch (found->verdict) {
	case SCHED_VERDICT_EVEN:
		snprintf(ret_text, VERDICT_SIZE, "no move would help");
		return;
	case SCHED_VERDICT_STAY:
		snprintf(ret_text, VERDICT_SIZE,
			"%u %s would be worth too little (sensitivity %.2f, at least %.0f %% of a "
			"core)",
			n, moves, input->sensitivity, SCHED_RELIEF_MIN * 100);
		return;
	case SCHED_VERDICT_BALANCE:
		snprintf(ret_text, VERDICT_SIZE, "%u %s, worth the sensitivity of %.2f", n, moves,
			input->sensitivity);
		return;
	case SCHED_VERDICT_RELIEVE:
		snprintf(ret_text, VERDICT_SIZE, "%u %s, to relieve a saturated CPU", n, moves);
		return;
	}
}

void explain_finding(const struct sched_input *input, const struct sched_finding *found,
	char ret_text[static EXPLAIN_SIZE])
{
	char domain[32] = "all workers", verdict[VERDICT_SIZE];

	if (found->numa_node >= 0)
		snprintf(domain, sizeof(domain), "NUMA node %d", found->numa_node);
	explain_verdict(input, found, verdict);
	if (found->n_moves == 0)
		snprintf(ret_text, EXPLAIN_SIZE, "%s: worst CPU %.1f %%, imbalance %.2f: %s",
			domain, found->now.worst * 100, found->now.imbalance, verdict);
	else
		snprintf(ret_text, EXPLAIN_SIZE,
			"%s: worst CPU %.1f -> %.1f %%, imbalance %.2f -> %.2f, variation %.2f -> "
			"%.2f: %s",
			domain, found->now.worst * 100, found->then.worst * 100,
			found->now.imbalance, found->then.imbalance, found->now.variation,
			found->then.variation, verdict);
}
