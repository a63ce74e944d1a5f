/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. The transmit function of net_null
 * devices refuses frames of the other EtherType for experiments (IEEE 802), and so all behind them,
 * as some drivers do with packets that their hardware cannot send.
 */

#include <rte_ether.h>

#include "transmit.h"

#define REFUSED RTE_BE16(0x88b6)

uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct rte_ether_hdr *header =
			rte_pktmbuf_mtod(packets[i], const struct rte_ether_hdr *);
		if (header->ether_type == REFUSED)
			return i;
		rte_pktmbuf_free(packets[i]);
	}
	return n;
}
