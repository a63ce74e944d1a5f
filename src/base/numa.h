/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Sets of NUMA nodes on which memory is taken. The empty set means no restriction: any node will
 * do.
 */

#include <stdint.h>

#define NUMA_NODES_MAX 32 /* nodes 0..31: as many as the usual DPDK builds know */

struct numa_set {
	uint32_t nodes; /* bit n: node n */
};

/*
 * Adds a node. One beyond those counts as node 0, as in DPDK, and so does -1 (a kernel without
 * nodes).
 */
void numa_set_add(struct numa_set *set, int node);

/*
 * The node on which memory wanted on `node` (-1: any) is taken: that one if it is allowed, else the
 * lowest of the set. A pure function.
 */
int numa_set_choose(struct numa_set set, int node);

/* Writes the set as "0-1,3". */
void numa_set_format(struct numa_set set, char *ret_text, unsigned size);
