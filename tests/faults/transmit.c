/* SPDX-License-Identifier: BSD-3-Clause */
#include "transmit.h"

#include <dlfcn.h>
#include <rte_ethdev.h>
#include <string.h>

int rte_eth_dev_start(uint16_t port)
{
	static int (*real)(uint16_t port);
	char name[RTE_ETH_NAME_MAX_LEN];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_start");
	int r = real(port);
	if (r == 0 && rte_eth_dev_get_name_by_port(port, name) == 0 &&
		strncmp(name, "net_null", 8) == 0)
		rte_eth_fp_ops[port].tx_pkt_burst = transmit;
	return r;
}
