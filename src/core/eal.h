/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * DPDK's environment: memory, the threads of the workers, the buses.
 */

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
	bool physical_addresses;   /* for devices that know no IOMMU; needs hugepages */
	/*
	 * The nodes that packets are kept on, empty for any; needs hugepages. There so much is
	 * reserved at once, beside what DPDK itself needs.
	 */
	struct numa_set memory_nodes;
	uint64_t node_bytes[NUMA_NODES_MAX];
};

/*
 * Starts DPDK: the calling thread becomes the control thread on master_cpu, and a thread is made
 * for each worker CPU. Takes no device and next to no memory yet. Once a process, before everything
 * else of src/core.
 */
int eal_start(const struct eal_options *options, struct err *err);

/* Whether devices get physical addresses (IOVA mode PA). */
bool eal_uses_physical_addresses(void);

/* The end of it, after everything else of src/core. */
void eal_stop(void);

/* "DPDK 22.11.11" */
const char *eal_version(void);
