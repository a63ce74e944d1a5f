/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's session and its rings are made up here: nothing is given to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_ethdev.h>

#include "base/clock.h"
#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/packet_fixture.h"
#include "core/vf/vf.h"

#define RING 256
#define PACKETS 1000 /* fewer than the device has room for */
#define LONG_NS 200000000

static struct guest guest;
static struct vf_to_vm lane;

/* A VM whose driver has enabled one receive ring, in place of the one before. */
static void connect_vm(struct guest_session *session)
{
	session->rings[GUEST_RECEIVE_RING(0)].size = RING;
	atomic_store(&session->vf_to_vm_enabled, 1);
	atomic_store(&guest.session, session);
	atomic_fetch_add(&guest.n_sessions, 1);
}

static int open_lane(void **state)
{
	struct op_device device = {.n_members = 1};
	const struct vf_options options = {.mtu = 1500};
	struct err err = {};

	vf_to_vm_init(&lane, 0);
	lane.lane.guest = &guest;
	if (device_id_parse("net_ring0", &device.members[0], &err) < 0 ||
		vf_open(&lane.lane.vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int close_lane(void **state)
{
	vf_close(lane.lane.vf);
	return 0;
}

/* What was found out about one VM says nothing of the next, though its rings are the same. */
static void stores_are_measured_anew_for_another_vm(void **state)
{
	connect_vm(&guest.connections[0]);
	vf_to_vm_poll(&lane);
	const uint32_t fresh = lane.stores.left;

	lane.stores = (struct stores){.past = true, .phase = STORES_HOLD, .left = 1000000};
	vf_to_vm_poll(&lane);
	assert_true(lane.stores.past);
	assert_int_equal(lane.stores.left, 1000000);

	connect_vm(&guest.connections[1]);
	vf_to_vm_poll(&lane);
	assert_false(lane.stores.past);
	assert_int_equal(lane.stores.left, fresh);
}

static struct counters_snapshot counters(void)
{
	struct counters_snapshot snapshot;

	counters_read(&lane.lane.counters, &snapshot);
	return snapshot;
}

static void send_to_device(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *packet = rte_pktmbuf_alloc(lane.lane.vf->pool);
		assert_non_null(packet);
		assert_non_null(rte_pktmbuf_append(packet, 60));
		assert_int_equal(rte_eth_tx_burst(lane.lane.vf->port, 0, &packet, 1), 1);
	}
}

/* Polls until the lane has got that many packets, or for long. Returns how many it has got. */
static unsigned poll_for(unsigned n)
{
	const uint64_t end_ns = clock_monotonic_ns() + LONG_NS;

	while (counters().received.packets < n && clock_monotonic_ns() < end_ns)
		vf_to_vm_poll(&lane);
	return counters().received.packets;
}

/*
 * A VM that takes no packets holds back a device. But a bond is read on, because its protocol would
 * starve; what the backlog has no room for is dropped.
 */
static void a_bond_is_read_on(void **state)
{
	struct guest_session *session = &guest.connections[0];
	struct ring *ring = &session->rings[GUEST_RECEIVE_RING(0)];

	connect_vm(session);
	session->max_frame_bytes = 1518;
	lane.lane.n_slices = 2; /* thus the ring may be in use by another worker, */
	atomic_flag_test_and_set(&ring->giving); /* which it is all the time */

	send_to_device(PACKETS);
	assert_int_equal(poll_for(PACKETS), LANE_BURST);
	lane.lane.vf->needs_polling = true;
	assert_int_equal(poll_for(PACKETS), PACKETS);
	send_to_device(PACKETS);
	assert_int_equal(poll_for(2 * PACKETS), 2 * PACKETS);
	assert_in_range(counters().backlog.packets, LANE_BURST, BACKLOG_BUFFERS);
	assert_int_equal(counters().dropped[DROP_QUEUE_FULL].packets,
		2 * PACKETS - counters().backlog.packets);

	atomic_flag_clear(&ring->giving);
	vf_to_vm_drain(&lane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			stores_are_measured_anew_for_another_vm, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(a_bond_is_read_on, open_lane, close_lane),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
