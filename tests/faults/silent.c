/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. A device that has a file in the
 * directory named by SILENT does not report its counters, and takes a second for that, like a VF
 * whose PF does not answer.
 */

#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int rte_eth_stats_get(uint16_t port, struct rte_eth_stats *stats)
{
	static int (*real)(uint16_t port, struct rte_eth_stats * stats);
	char name[RTE_ETH_NAME_MAX_LEN], path[4096];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_stats_get");
	if (rte_eth_dev_get_name_by_port(port, name) != 0)
		return -ENODEV;
	snprintf(path, sizeof(path), "%s/%s", getenv("SILENT"), name);
	if (access(path, F_OK) != 0)
		return real(port, stats);
	sleep(1);
	return -EIO;
}
