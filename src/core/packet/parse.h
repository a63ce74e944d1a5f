/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_net.h>

/*
 * rte_net_get_ptype() for layers 2 to 4, with up to TAGS_MAX tags in front of layer 3, of any
 * mixture of 802.1Q and 802.1ad. DPDK's function by itself knows one of the former, or the two of
 * the latter.
 */
#define TAGS_MAX 4
uint32_t parse_headers(const struct rte_mbuf *packet, struct rte_net_hdr_lens *ret_lengths);
