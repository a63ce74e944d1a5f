/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Real packet buffers of DPDK, for code that allocates them: without huge pages, devices or files.
 */

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <sched.h>

#include "fuzz.h"

/*
 * For LLVMFuzzerInitialize(): starts DPDK and makes a pool of `buffers` of the usual size, without
 * a cache.
 */
static inline struct rte_mempool *pool_make(unsigned buffers)
{
	char cpu[16];
	char *eal[] = {"fuzz", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "64",
		"-l", cpu, "--log-level=error"};

	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	require(rte_eal_init(ARRAY_SIZE(eal), eal) >= 0);
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"fuzz", buffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	require(pool);
	return pool;
}
