/* SPDX-License-Identifier: BSD-3-Clause */
/* A bond of two devices of net_null, whose receive functions are made up here. */
#include "core/vf/vf_receive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_eth_bond.h>

#include "core/packet/packet_fixture.h"
#include "core/packet/packets.h"
#include "core/vf/bond_fixture.h"
#include "core/vf/port.h"

#define READS 64 /* as in vf_receive.c */

static struct vf *vf;
static uint16_t members[2];
static unsigned arrived[2]; /* packets that wait to be read, by member */

static uint16_t read_member(unsigned member, struct rte_mbuf **ret_packets, uint16_t n)
{
	n = RTE_MIN(n, arrived[member]);
	assert_int_equal(rte_pktmbuf_alloc_bulk(vf->pool, ret_packets, n), 0);
	arrived[member] -= n;
	return n;
}

static uint16_t read_first(void *queue, struct rte_mbuf **ret_packets, uint16_t n)
{
	return read_member(0, ret_packets, n);
}

static uint16_t read_second(void *queue, struct rte_mbuf **ret_packets, uint16_t n)
{
	return read_member(1, ret_packets, n);
}

static void open_bond(unsigned mode)
{
	struct device_spec device = {
		.n_members = 2, .bond_name = "net_bonding0", .bond_mode = mode};
	const struct vf_options options = {.mtu = 1500};
	struct err err = {};

	assert_int_equal(device_id_parse("net_null0", &device.members[0], &err), 0);
	assert_int_equal(device_id_parse("net_null1", &device.members[1], &err), 0);
	if (vf_open(&vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	wait_for_members(vf->port, members, 2);
	assert_int_equal(rte_eth_bond_primary_get(vf->port), members[0]);
	arrived[0] = arrived[1] = 0;
	rte_eth_fp_ops[members[0]].rx_pkt_burst = read_first;
	rte_eth_fp_ops[members[1]].rx_pkt_burst = read_second;
}

static int open_active_backup(void **state)
{
	open_bond(BONDING_MODE_ACTIVE_BACKUP);
	return 0;
}

static int open_tlb(void **state)
{
	open_bond(BONDING_MODE_TLB);
	return 0;
}

static int close_bond(void **state)
{
	vf_close(vf);
	return 0;
}

/* Reads so many times; returns how many packets came. */
static unsigned receive(unsigned reads)
{
	struct rte_mbuf *packets[LANE_BURST];
	unsigned n = 0;

	for (; reads > 0; reads--) {
		uint16_t burst = vf_receive(vf, 0, packets, LANE_BURST);
		rte_pktmbuf_free_bulk(packets, burst);
		n += burst;
	}
	return n;
}

/* Otherwise its queue would be full, and each further packet would count as missed. */
static void backup_is_emptied(void **state)
{
	arrived[0] = 3;
	arrived[1] = 10 * LANE_BURST;
	assert_int_equal(receive(READS + 10), 3);
	assert_int_equal(arrived[1], 0);
}

/* But nothing is lost that comes later. */
static void backup_takes_over_empty(void **state)
{
	receive(1);
	arrived[1] = vf->ring_rx;
	rte_eth_bond_primary_set(vf->port, members[1]);
	assert_int_equal(receive(1), 0);
	arrived[1] = 3;
	assert_int_equal(receive(1), 3);
}

/* The driver has a turn for each queue, and does not notice that the one whose turn it is has gone.
 */
static void removed_member_is_not_read(void **state)
{
	for (unsigned reads = 0; reads < 2; reads++) {
		open_bond(BONDING_MODE_ROUND_ROBIN);
		receive(reads);
		vf_remove_member(vf, members[1]);
		arrived[1] = 3;
		assert_int_equal(receive(2), 0);
		port_close(members[1]);
		vf_close(vf);
	}
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, close_bond)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(open_active_backup, backup_is_emptied),
		WITH(open_active_backup, backup_takes_over_empty),
		WITH(open_tlb, backup_is_emptied),
		WITH(open_tlb, backup_takes_over_empty),
		cmocka_unit_test(removed_member_is_not_read),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
