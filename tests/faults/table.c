/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. The number of queues in a device's
 * RSS table is written to the file named by TABLE.
 */

#include <dlfcn.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

int rte_eth_dev_rss_reta_update(
	uint16_t port, struct rte_eth_rss_reta_entry64 *reta, uint16_t reta_size)
{
	static int (*real)(
		uint16_t port, struct rte_eth_rss_reta_entry64 * reta, uint16_t reta_size);
	unsigned n = 0;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_rss_reta_update");
	for (unsigned i = 0; i < reta_size; i++) {
		unsigned queue =
			reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
		n = RTE_MAX(n, queue + 1);
	}
	FILE *file = fopen(getenv("TABLE"), "w");
	if (file != NULL) {
		fprintf(file, "%u\n", n);
		fclose(file);
	}
	return real(port, reta, reta_size);
}
