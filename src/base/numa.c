/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/numa.h"

#include <stdbool.h>

#include "base/cpu_set.h"

void numa_set_add(struct numa_set *set, int node)
{
	set->nodes |= UINT32_C(1) << (node >= 0 && node < NUMA_NODES_MAX ? node : 0);
}

static bool allows(struct numa_set set, int node)
{
	return set.nodes == 0 || (node >= 0 && node < NUMA_NODES_MAX && set.nodes >> node & 1);
}

int numa_set_choose(struct numa_set set, int node)
{
	return allows(set, node) ? node : __builtin_ctz(set.nodes);
}

void numa_set_format(struct numa_set set, char *ret_text, unsigned size)
{
	const struct cpu_set numbers = {.words = {set.nodes}};

	cpu_set_format(&numbers, ret_text, size);
}
