/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Sets of NUMA nodes that memory is taken on. The empty one stands for no choice: any node will do.
 */

#include <stdint.h>

#define NUMA_NODES_MAX 32 /* nodes 0..31: what the usual DPDK builds know */

struct numa_set {
	uint32_t nodes; /* bit n: node n */
};

/* A node beyond those is counted as node 0, as DPDK does, and so is -1: a kernel without nodes. */
void numa_set_add(struct numa_set *set, int node);

/*
 * The node that memory wanted on `node` (-1: on any) is taken on: that one where it is allowed,
 * else the lowest of the set. Pure.
 */
int numa_set_choose(struct numa_set set, int node);

/* "0-1,3" */
void numa_set_format(struct numa_set set, char *ret_text, unsigned size);
