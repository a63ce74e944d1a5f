/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. No device can be started with receive
 * interrupts: it has been started when the driver notices, as with iavf.
 */

#define ALLOW_EXPERIMENTAL_API
#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>

int rte_eth_dev_start(uint16_t port)
{
	static int (*real)(uint16_t port);
	struct rte_eth_conf conf;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_start");
	int r = real(port);
	if (r == 0 && rte_eth_dev_conf_get(port, &conf) == 0 && conf.intr_conf.rxq)
		return -EIO;
	return r;
}
