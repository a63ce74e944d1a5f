/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_eth_bond.h>

#include "core/dpdk/dpdk_compat.h"

/* Waits, for 5 s at most, until all `n` members of a bond are in use; writes their ports. */
static inline void wait_for_members(uint16_t bond, uint16_t *ret_members, uint16_t n)
{
	for (unsigned ms = 0; rte_eth_bond_active_members_get(bond, ret_members, n) < n; ms++) {
		assert_true(ms < 5000);
		rte_delay_ms(1);
	}
}
