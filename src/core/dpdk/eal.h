/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* DPDK's environment: memory, the worker threads and the buses. */

#include <stdbool.h>

#include "base/cpu_set.h"
#include "base/err.h"
#include "base/numa.h"

struct eal_options {
	unsigned master_cpu;
	struct cpu_set worker_cpus;
	const char *huge_dir;      /* hugetlbfs mount; "" for ordinary pages */
	const char *vfio_vf_token; /* UUID, or NULL */
	int log_level;             /* 0..7 */
	/* Devices are given these; needs CAP_SYS_ADMIN. Not done with ordinary pages. */
	bool physical_addresses;
	/*
	 * What will be needed later, on whichever nodes, in addition to what DPDK itself needs.
	 * Nothing is reserved for it; but if DPDK itself does not get enough, the error counts it.
	 */
	uint64_t bytes;
	/*
	 * The NUMA nodes on which packets are kept; empty: any. Needs hugepages. On each of them
	 * node_bytes[node] bytes are reserved at the start, in addition to what DPDK itself needs.
	 */
	struct numa_set memory_nodes;
	uint64_t node_bytes[NUMA_NODES_MAX];
};

/*
 * Starts DPDK: the calling thread becomes the control thread and runs on master_cpu, and each
 * worker CPU gets a thread. Takes no device yet, and next to no memory. Once per process, before
 * anything else in src/core that does not say otherwise.
 *
 * DPDK ends with the process, and leaves nothing behind. rte_eal_cleanup() would first unmap its
 * memory, which threads of its libraries may read until then (vhost's does in DPDK 24.11.4).
 */
int eal_start(const struct eal_options *options, struct err *err);

/* True if devices are given physical addresses (IOVA mode PA). */
bool eal_uses_physical_addresses(void);

/* "DPDK 22.11.11". May be called before eal_start(). */
const char *eal_version(void);
