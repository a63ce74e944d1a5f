/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Differences between the DPDK releases we build with, 22.11 and up: the names of the newer ones,
 * made for the older.
 */

#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
#	define rte_eth_bond_member_add rte_eth_bond_slave_add
#	define rte_eth_bond_member_remove rte_eth_bond_slave_remove
#	define rte_eth_bond_members_get rte_eth_bond_slaves_get
#endif
