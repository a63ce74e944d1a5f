/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Differences between the DPDK releases that we build with, from 22.11 on. The code uses the newer
 * names; for older releases they are defined here.
 */

#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
#	define rte_eth_bond_member_add rte_eth_bond_slave_add
#	define rte_eth_bond_member_remove rte_eth_bond_slave_remove
#	define rte_eth_bond_members_get rte_eth_bond_slaves_get
#	define rte_eth_bond_active_members_get rte_eth_bond_active_slaves_get
#	define rte_eth_bond_8023ad_member_info rte_eth_bond_8023ad_slave_info
#endif
