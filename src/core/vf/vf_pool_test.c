/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <string.h>
#include <unistd.h>

#include "core/dpdk/hugepages.h"
#include "core/dpdk/pool.h"
#include "core/packet/packet_fixture.h"
#include "core/vf/bond_fixture.h"
#include "core/vf/port.h"
#include "core/vf/vf.h"
#include "core/vf/vf_counters.h"

/*
 * What its driver refuses: to be stopped, or to be started so many times. And the name that it has
 * instead of net_null, or NULL.
 */
static struct {
	int stop_error;
	unsigned failing_starts;
	int start_error;
	unsigned hungry_starts; /* they leave too little memory for three members, and fail */
	const char *null_name;
} driver = {.start_error = -EIO};

static uint64_t memory_bytes; /* of a device, as estimated before DPDK has started */

/* The linker puts these functions in place of the real ones. */
__typeof__(rte_eth_dev_start) __wrap_rte_eth_dev_start, __real_rte_eth_dev_start;
__typeof__(rte_eth_dev_stop) __wrap_rte_eth_dev_stop, __real_rte_eth_dev_stop;
__typeof__(rte_eth_dev_info_get) __wrap_rte_eth_dev_info_get, __real_rte_eth_dev_info_get;

/* What the tests have of DPDK's memory: pieces of a MiB, then smaller and smaller ones. */
static struct {
	unsigned n;
	void *pieces[1024];
} taken;

static void take_all_memory(void)
{
	for (size_t bytes = 1 << 20; bytes >= 64; bytes /= 2)
		while (taken.n < ARRAY_SIZE(taken.pieces) &&
			(taken.pieces[taken.n] = rte_malloc(NULL, bytes, 0)) != NULL)
			taken.n++;
}

int __wrap_rte_eth_dev_start(uint16_t port)
{
	if (driver.hungry_starts > 0) {
		driver.hungry_starts--;
		void *rest = rte_malloc(NULL, 4 << 20, 0);
		take_all_memory();
		rte_free(rest);
		return -EPERM;
	}
	if (driver.failing_starts == 0)
		return __real_rte_eth_dev_start(port);
	driver.failing_starts--;
	return driver.start_error;
}

int __wrap_rte_eth_dev_stop(uint16_t port)
{
	return driver.stop_error != 0 ? driver.stop_error : __real_rte_eth_dev_stop(port);
}

int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *ret_info)
{
	int r = __real_rte_eth_dev_info_get(port, ret_info);

	if (r == 0 && driver.null_name != NULL && strcmp(ret_info->driver_name, "net_null") == 0)
		ret_info->driver_name = driver.null_name;
	return r;
}

/* A device that receives what it sends. NUMA node 0 exists; 1 to 7 are for wrong answers. */
static struct vf *open_ring(void)
{
	struct device_spec device = {.n_members = 1};
	const struct vf_options options = {.relay_id = 3, .mtu = 1500};
	struct err err = {};
	struct vf *vf = NULL;

	if (device_id_parse("net_ring0", &device.members[0], &err) < 0 ||
		vf_open(&vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	return vf;
}

static struct rte_mbuf *loop(struct vf *vf)
{
	struct rte_mbuf *sent = rte_pktmbuf_alloc(vf->pool), *received = NULL;

	assert_non_null(sent);
	assert_int_equal(rte_eth_tx_burst(vf->port, 0, &sent, 1), 1);
	assert_int_equal(rte_eth_rx_burst(vf->port, 0, &received, 1), 1);
	assert_ptr_equal(sent, received);
	return received;
}

static void nodes_are_compared(void **state)
{
	const struct vf known = {.pool_node = 1}, unknown = {.pool_node = -1};

	assert_true(vf_pool_can_move(&known, 0));
	assert_false(vf_pool_can_move(&known, 1));
	assert_false(vf_pool_can_move(&known, -1));
	assert_false(vf_pool_can_move(&unknown, 0));

	hugepages_confine((struct numa_set){1 << 1 | 1 << 2});
	assert_true(vf_pool_can_move(&known, 2));
	assert_false(vf_pool_can_move(&known, 0));
	hugepages_confine((struct numa_set){0});
}

/* The pool moves twice, with a packet of the first pool still out, which returns to that pool. */
static void pool_moves(void **state)
{
	struct vf *vf = open_ring();
	struct rte_mempool *first = vf->pool;
	struct rte_mbuf *packet = loop(vf);
	struct err err;

	assert_int_equal(vf_move_pool(vf, 0, &err), 1);
	assert_ptr_not_equal(vf->pool, first);
	assert_ptr_equal(vf->old_pool, first);
	assert_int_equal(vf->pool->size, first->size);
	rte_pktmbuf_free(loop(vf));

	assert_int_equal(vf_move_pool(vf, 0, &err), 0);
	assert_non_null(strstr(err.text, "still under way"));
	rte_pktmbuf_free(packet);
	assert_int_equal(vf_move_pool(vf, 0, &err), 1);
	rte_pktmbuf_free(loop(vf));
	vf_close(vf);
}

static struct device_spec bond_of_three(unsigned mode)
{
	struct device_spec device = {
		.n_members = 3, .bond_name = "net_bonding0", .bond_mode = mode};
	char name[32];

	for (unsigned i = 0; i < device.n_members; i++) {
		snprintf(name, sizeof(name), "net_null%u", i);
		assert_int_equal(device_id_parse(name, &device.members[i], NULL), 0);
	}
	return device;
}

/* Opens a bond of three members, of those that there will be. */
static struct vf *open_bond(struct device_spec *ret_device, unsigned n_members)
{
	struct device_spec device = bond_of_three(BONDING_MODE_ACTIVE_BACKUP);
	const struct vf_options options = {.mtu = 2000, .n_members = n_members};
	struct err err = {};
	struct vf *vf = NULL;

	if (vf_open(&vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	*ret_device = device;
	return vf;
}

/* Its sockets would not survive the restart, nor would those of a bond's members. */
static void pool_of_af_packet_stays(void **state)
{
	const struct vf_options options = {.mtu = 1500};
	struct device_spec device = {.n_members = 1};
	struct vf *vf = NULL;

	for (unsigned bond = 0; bond <= 1; bond++) {
		device_id_parse("net_null0", &device.members[0], NULL);
		if (bond)
			vf = open_bond(&device, 0);
		else
			assert_int_equal(vf_open(&vf, &device, &options, NULL), 0);
		vf->pool_node = 1;
		assert_true(vf_pool_can_move(vf, 0));
		driver.null_name = "net_af_packet";
		assert_false(vf_pool_can_move(vf, 0));
		driver.null_name = NULL;
		vf_close(vf);
	}
}

static void members_have_the_mtu(void **state)
{
	struct device_spec device;
	struct vf *vf = open_bond(&device, 0);
	uint16_t port, mtu;

	assert_int_equal(vf->mtu, 2000);
	for (unsigned i = 0; i < device.n_members; i++) {
		assert_int_equal(port_find(&port, &device.members[i]), 0);
		assert_int_equal(rte_eth_dev_get_mtu(port, &mtu), 0);
		assert_int_equal(mtu, 2000);
	}
	vf_close(vf);
}

/* As for another pool. */
static void bond_starts_without_its_first_member(void **state)
{
	struct device_spec device;
	struct vf *vf = open_bond(&device, 0);
	struct err err = {};
	uint16_t port;

	assert_int_equal(port_find(&port, &device.members[0]), 0);
	vf_remove_member(vf, port);
	port_close(port);
	if (vf_restart(vf, &err) < 0)
		fail_msg("%s", err.text);
	vf_close(vf);
}

/* Each member has rings of its own, one that comes later, too. */
static void members_have_room(void **state)
{
	struct device_spec device;

	for (unsigned n = 3; n <= 5; n += 2) {
		struct vf *vf = open_bond(&device, n);
		assert_true(vf->pool->size >= n * vf->n_queues * (vf->ring_rx + vf->ring_tx));
		vf_close(vf);
	}
}

static void members_are_counted(void **state)
{
	struct device_spec device;
	struct vf *vf = open_bond(&device, 5);

	vf_read_counters(vf);
	assert_int_equal(vf->counters.members[MEMBER_UP], 3);
	assert_int_equal(vf->counters.members[MEMBER_DOWN], 0);
	assert_int_equal(vf->counters.members[MEMBER_AWAY], 2);
	vf_close(vf);
}

/* One look after another at a bond whose member does not keep the MAC. */
static void member_gets_the_mac(void **state)
{
	struct device_spec device;
	struct vf *vf = open_bond(&device, 0);
	uint16_t member = (uint16_t)rte_eth_bond_primary_get(vf->port);
	struct rte_ether_addr mac, other, now;
	char given[] = ".........";

	assert_int_equal(rte_eth_macaddr_get(vf->port, &mac), 0);
	rte_ether_addr_copy(&mac, &other);
	other.addr_bytes[5] ^= 1;
	for (unsigned twice = 0; twice < 2; twice++) {
		vf_follow_links(vf);
		for (unsigned i = 0; given[i] != '\0'; i++) {
			assert_int_equal(rte_eth_dev_default_mac_addr_set(member, &other), 0);
			vf_follow_links(vf);
			assert_int_equal(rte_eth_macaddr_get(member, &now), 0);
			given[i] = rte_is_same_ether_addr(&now, &mac) ? '1' : '0';
		}
		assert_string_equal(given, "011010001");
	}
	vf_close(vf);
}

static void give_back(unsigned n)
{
	assert_true(n == UINT_MAX || taken.n > 0);
	for (; n > 0 && taken.n > 0; n--)
		rte_free(taken.pieces[--taken.n]);
}

/*
 * Wherever the memory ends, opening a LACP bond is refused: the driver would end the process if it
 * found none for a member that becomes active.
 */
static void lacp_bonds_are_refused_in_time(void **state)
{
	const struct device_spec device = bond_of_three(BONDING_MODE_8023AD);
	const struct vf_options options = {.mtu = 1500};
	bool told = false;
	struct vf *vf = NULL;
	struct err err;
	uint16_t members[3];

	take_all_memory();
	while (vf_open(&vf, &device, &options, &err) < 0) {
		told |= strstr(err.text, "802.3ad") != NULL && strstr(err.text, "out of memory");
		give_back(1);
	}
	assert_non_null(vf);
	wait_for_members(vf->port, members, 3);
	assert_true(told);
	vf_close(vf);
	give_back(UINT_MAX);
}

/* Whatever the device asks for, it is said that memory is missing, and nothing else. */
static void lack_of_memory_is_named(void **state)
{
	const struct vf_options options = {.mtu = 1500};
	struct device_spec device = {.n_members = 1};
	struct vf *vf = NULL;
	struct err err;

	assert_int_equal(device_id_parse("net_null0", &device.members[0], NULL), 0);
	take_all_memory();
	while (vf_open(&vf, &device, &options, &err) < 0) {
		if (strstr(err.text, "out of memory: ") == NULL)
			fail_msg("%s", err.text);
		give_back(1);
	}
	vf_close(vf);
	give_back(UINT_MAX);
}

/* A bond allocates the members' rings when it starts, and returns -1 for any failure. */
static void lack_of_memory_for_members_is_named(void **state)
{
	const struct device_spec device = bond_of_three(BONDING_MODE_ACTIVE_BACKUP);
	const struct vf_options options = {.mtu = 1500};
	struct vf *vf = NULL;
	struct err err;

	driver.hungry_starts = UINT_MAX;
	assert_true(vf_open(&vf, &device, &options, &err) < 0);
	assert_non_null(strstr(err.text, "net_bonding0: cannot be started: out of memory: "));
	give_back(UINT_MAX);

	driver.hungry_starts = 1; /* the next try succeeds with the rest */
	assert_int_equal(vf_open(&vf, &device, &options, &err), 0);
	vf_close(vf);
	give_back(UINT_MAX);
}

/*
 * The estimate is that of the daemon, which has two threads at least; the test has one. The
 * constant that vio4wd check-host uses is right, too.
 */
static void memory_is_as_said(void **state)
{
	struct vf *vf = open_ring();
	const unsigned room_bytes = rte_pktmbuf_data_room_size(vf->pool) - RTE_PKTMBUF_HEADROOM;

	assert_int_equal(memory_bytes, pool_bytes(vf->pool->size + POOL_CACHED_MAX, room_bytes));
	assert_in_range(memory_bytes, DEVICE_MEMORY_BYTES / 2, DEVICE_MEMORY_BYTES);
	vf_close(vf);
}

/* There is no memory on that node: everything stays as it was. */
static void failure_changes_nothing(void **state)
{
	struct vf *vf = open_ring();
	struct rte_mempool *pool = vf->pool;
	struct err err = {};

	assert_int_equal(vf_move_pool(vf, 7, &err), 0);
	assert_non_null(strstr(err.text, "NUMA node 7"));
	assert_ptr_equal(vf->pool, pool);
	rte_pktmbuf_free(loop(vf));
	vf_close(vf);
}

/* The old pool is left, and the device runs unless it could not be started with that either. */
static void restart_fails(void **state)
{
	struct vf *vf = open_ring();
	struct rte_mempool *pool = vf->pool;
	struct err err = {};

	driver.stop_error = -EBUSY;
	assert_int_equal(vf_move_pool(vf, 0, &err), 0);
	assert_non_null(strstr(err.text, "cannot be stopped: Device or resource busy"));
	driver.stop_error = 0;
	rte_pktmbuf_free(loop(vf));

	driver.failing_starts = 1;
	driver.start_error = 1;
	assert_int_equal(vf_move_pool(vf, 0, &err), 0);
	assert_non_null(
		strstr(err.text, "cannot be given another packet pool: Input/output error"));
	rte_pktmbuf_free(loop(vf));

	driver.failing_starts = 2;
	assert_int_equal(vf_move_pool(vf, 0, &err), -EIO);
	assert_non_null(strstr(err.text, "cannot be started again: Input/output error"));
	driver.start_error = -EIO;
	assert_int_equal(driver.failing_starts, 0);
	assert_ptr_equal(vf->pool, pool);
	vf_close(vf);
}

static int estimate_and_start_dpdk(void **state)
{
	memory_bytes = vf_memory_bytes();
	return start_dpdk(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_compared),
		cmocka_unit_test(pool_moves),
		cmocka_unit_test(pool_of_af_packet_stays),
		cmocka_unit_test(members_have_the_mtu),
		cmocka_unit_test(bond_starts_without_its_first_member),
		cmocka_unit_test(members_have_room),
		cmocka_unit_test(members_are_counted),
		cmocka_unit_test(member_gets_the_mac),
		cmocka_unit_test(lacp_bonds_are_refused_in_time),
		cmocka_unit_test(lack_of_memory_is_named),
		cmocka_unit_test(lack_of_memory_for_members_is_named),
		cmocka_unit_test(memory_is_as_said),
		cmocka_unit_test(failure_changes_nothing),
		cmocka_unit_test(restart_fails),
	};

	return cmocka_run_group_tests(tests, estimate_and_start_dpdk, NULL);
}
