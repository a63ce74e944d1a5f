/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is sent on the device comes back from it. The guest's session is made up here. Behind each
 * of its receive rings is a driver in memory of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/packet_fixture.h"
#include "core/ring/ring_fixture.h"
#include "core/vf/vf.h"

#define RING 128
#define HOLD_MS 20 /* as in vf_to_vm.c */
#define LIMIT_MS 10000
#define N_QUEUES 2
#define PIECE_BYTES 64

static struct guest guest;
static struct vf_to_vm lane;
static struct vf vf = {.n_queues = 4};
static struct rte_mempool *pool;

static struct queue {
	uint8_t memory[GUEST_BYTES];
	struct guest_memory region;
	struct driver driver;
	uint32_t next;   /* number of the next packet for it */
	uint32_t oldest; /* number that the next packet from its ring has at least */
} queues[N_QUEUES];

/* A VM whose driver has enabled these receive rings, in place of the one before. */
static void connect_vm(struct guest_session *session, uint32_t enabled)
{
	for (unsigned q = 0; q < N_QUEUES; q++) {
		struct queue *queue = &queues[q];
		driver_init(&queue->driver, queue->memory, RING, false);
		queue->region = one_region(queue->memory);
		driver_ring(&queue->driver, &queue->region, &session->rings[GUEST_RECEIVE_RING(q)]);
		queue->next = queue->oldest = 0;
	}
	session->max_frame_bytes = UINT16_MAX;
	atomic_store(&session->vf_to_vm_enabled, enabled);
	atomic_store(&guest.session, session);
	atomic_fetch_add(&guest.n_sessions, 1);
}

static void poll_until_idle(void)
{
	while (vf_to_vm_poll(&lane) > 0)
		;
}

static int start_device(void **state)
{
	const struct rte_eth_conf conf = {};
	int r = start_dpdk(state);

	if (r < 0 || rte_eal_hotplug_add("vdev", "net_ring0", "") < 0 ||
		rte_eth_dev_get_port_by_name("net_ring0", &vf.port) < 0)
		return -1;
	pool = make_pool(4000);
	r = rte_eth_dev_configure(vf.port, vf.n_queues, vf.n_queues, &conf);
	for (uint16_t q = 0; q < vf.n_queues && r == 0; q++) {
		r = rte_eth_rx_queue_setup(vf.port, q, 0, SOCKET_ID_ANY, NULL, pool);
		if (r == 0)
			r = rte_eth_tx_queue_setup(vf.port, q, 0, SOCKET_ID_ANY, NULL);
	}
	return r == 0 ? rte_eth_dev_start(vf.port) : r;
}

static int open_lane(void **state)
{
	vf_to_vm_init(&lane, 0);
	lane.lane.vf = &vf;
	lane.lane.guest = &guest;
	vf.frame_buffers = 1;
	vf.needs_polling = false;
	return 0;
}

/* Nothing is left anywhere. */
static int close_lane(void **state)
{
	atomic_store(&guest.session, NULL);
	lane.lane.slice = 0;
	lane.lane.n_slices = 1;
	poll_until_idle();
	return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

/* A packet arrives on a queue of the device; its flow belongs to a queue of the guest. */
static void arrive_on(uint16_t device_queue, unsigned q, unsigned n_pieces)
{
	struct rte_mbuf *packet = NULL;

	for (unsigned i = 0; i < n_pieces; i++) {
		struct rte_mbuf *piece = rte_pktmbuf_alloc(pool);
		assert_non_null(piece);
		*(uint32_t *)rte_pktmbuf_append(piece, PIECE_BYTES) = queues[q].next;
		if (packet == NULL)
			packet = piece;
		else
			rte_pktmbuf_chain(packet, piece);
	}
	queues[q].next++;
	packet->ol_flags = RTE_MBUF_F_RX_RSS_HASH;
	packet->hash.rss = q;
	assert_int_equal(rte_eth_tx_burst(vf.port, device_queue, &packet, 1), 1);
}

static void arrive(unsigned q, unsigned n)
{
	for (; n > 0; n--)
		arrive_on(0, q, 1);
}

/* The VM offers all its buffers. */
static void offer(unsigned q)
{
	const uint32_t bytes = 2048;

	while (driver_offer(&queues[q].driver, &bytes, 1, true))
		;
}

/* The VM takes the packets from a ring, which must be in order; returns how many. */
static unsigned take(unsigned q)
{
	const unsigned header_bytes = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	unsigned n = 0;
	uint8_t *buffer;
	uint32_t bytes;

	for (; driver_take_used(&queues[q].driver, &buffer, &bytes); n++) {
		uint32_t number = *(uint32_t *)(buffer + header_bytes);
		assert_int_equal(bytes, header_bytes + PIECE_BYTES);
		assert_true(number >= queues[q].oldest);
		queues[q].oldest = number + 1;
	}
	return n;
}

static void check_counters(unsigned waiting, unsigned dropped)
{
	struct counters_snapshot now;

	counters_read(&lane.lane.counters, &now);
	assert_int_equal(now.backlog.packets, waiting);
	assert_int_equal(now.dropped[DROP_QUEUE_FULL].packets, dropped);
}

/* What was found out about one VM says nothing of the next, though its rings are the same. */
static void stores_are_measured_anew_for_another_vm(void **state)
{
	connect_vm(&guest.connections[0], 1);
	vf_to_vm_poll(&lane);
	const uint32_t fresh = lane.stores.left;

	lane.stores = (struct stores){.past_cache = true, .phase = STORES_HOLD, .left = 1000000};
	vf_to_vm_poll(&lane);
	assert_true(lane.stores.past_cache);
	assert_int_equal(lane.stores.left, 1000000);

	connect_vm(&guest.connections[1], 1);
	vf_to_vm_poll(&lane);
	assert_false(lane.stores.past_cache);
	assert_int_equal(lane.stores.left, fresh);

	/* The sessions of another socket are counted from 1 again. */
	lane.stores = (struct stores){.past_cache = true, .phase = STORES_HOLD, .left = 1000000};
	atomic_store(&guest.session, NULL);
	vf_to_vm_poll(&lane);
	atomic_store(&guest.session, &guest.connections[1]);
	vf_to_vm_poll(&lane);
	assert_false(lane.stores.past_cache);
	assert_int_equal(lane.stores.left, fresh);
}

/* The ring has room again for more than the backlog gives it at a time. */
static void waiting_packets_are_not_overtaken(void **state)
{
	connect_vm(&guest.connections[0], 3);
	offer(0);
	arrive(0, RING + 3 * LANE_BURST);
	poll_until_idle();
	check_counters(3 * LANE_BURST, 0);
	assert_int_equal(take(0), RING);

	offer(0);
	arrive(0, LANE_BURST);
	poll_until_idle();
	check_counters(0, 0);
	assert_int_equal(take(0), 4 * LANE_BURST);
}

/* Polls until the device is read again. */
static void await_end_of_hold(void)
{
	const uint64_t begin = rte_rdtsc(), limit = rte_get_tsc_hz() / 1000 * LIMIT_MS;

	while (vf_to_vm_poll(&lane) == 0)
		assert_true(rte_rdtsc() - begin < limit);
}

/* Fills the share of a ring without buffers; it then holds back the device for a while. */
static void fill_and_await_end_of_hold(unsigned share, unsigned dropped)
{
	const uint64_t begin = rte_rdtsc();

	arrive(0, share);
	poll_until_idle();
	check_counters(share, dropped);
	arrive(0, LANE_BURST);
	await_end_of_hold();
	assert_true(rte_rdtsc() - begin >= rte_get_tsc_hz() / 1000 * HOLD_MS);
	check_counters(share, dropped + LANE_BURST);
}

/* Only once for as long as packets wait; again when all of them have gone. */
static void full_share_holds_back_the_device_for_a_while(void **state)
{
	const unsigned share = BACKLOG_BUFFERS / 2;

	memset(guest.n_dropped, 0, sizeof(guest.n_dropped));
	connect_vm(&guest.connections[0], 3);
	fill_and_await_end_of_hold(share, 0);
	assert_int_equal(guest.n_dropped[GUEST_RECEIVE_RING(0)], LANE_BURST);
	assert_int_equal(guest.n_dropped[GUEST_RECEIVE_RING(1)], 0);

	offer(0);
	poll_until_idle();
	check_counters(share - RING, LANE_BURST);
	arrive(0, RING + LANE_BURST);
	poll_until_idle();
	check_counters(share, 2 * LANE_BURST);

	while (lane.backlog.waiting != 0) {
		take(0);
		offer(0);
		poll_until_idle();
	}
	take(0);
	fill_and_await_end_of_hold(share, 2 * LANE_BURST);
}

/* The lanes of a relay divide the store, but each can hold what two bursts need. */
static void share_depends_on_the_number_of_slices(void **state)
{
	connect_vm(&guest.connections[0], 3);
	lane.lane.n_slices = 2;
	fill_and_await_end_of_hold(BACKLOG_BUFFERS_MIN / 2, 0);
}

/* The device is held back before a burst is read that the share might not have room for. */
static void long_packets_have_room(void **state)
{
	const unsigned n_pieces = 5;

	connect_vm(&guest.connections[0], 3);
	vf.frame_buffers = n_pieces;
	for (unsigned i = 0; i < LANE_BURST / 2; i++)
		arrive_on(0, 0, n_pieces);
	poll_until_idle();
	for (unsigned i = 0; i < BACKLOG_BUFFERS / n_pieces; i++)
		arrive_on(0, 0, n_pieces);
	poll_until_idle();
	check_counters(LANE_BURST / 2 + 2 * LANE_BURST, 0);
}

/* Back pressure: the device is read no further if no ring could starve meanwhile. */
static void packets_that_wait_for_all_rings_hold_back_the_device(void **state)
{
	connect_vm(&guest.connections[0], 3);
	arrive(0, LANE_BURST);
	arrive(1, LANE_BURST);
	arrive(0, LANE_BURST);
	poll_until_idle();
	check_counters(2 * LANE_BURST, 0);
	offer(0);
	offer(1);
	poll_until_idle();
	check_counters(0, 0);
	assert_int_equal(take(0), 2 * LANE_BURST);
	assert_int_equal(take(1), LANE_BURST);
}

/*
 * A bond is read on, because its protocol would starve; what the backlog has no room for is
 * dropped.
 */
static void bond_is_read_on(void **state)
{
	const unsigned share = BACKLOG_BUFFERS / 2;

	connect_vm(&guest.connections[0], 1);
	arrive(0, share);
	poll_until_idle();
	check_counters(LANE_BURST, 0);
	vf.needs_polling = true;
	poll_until_idle();
	check_counters(share, 0);
	arrive(0, LANE_BURST);
	await_end_of_hold();
	check_counters(share, LANE_BURST);
}

/* Several slices may give to the same ring. */
static void ring_that_another_worker_uses_is_left_alone(void **state)
{
	struct guest_session *session = &guest.connections[0];
	atomic_flag *giving = &session->rings[GUEST_RECEIVE_RING(0)].giving;

	connect_vm(session, 3);
	lane.lane.n_slices = 2;
	offer(0);
	assert_false(atomic_flag_test_and_set(giving));
	arrive(0, LANE_BURST);
	poll_until_idle();
	check_counters(LANE_BURST, 0);
	assert_int_equal(take(0), 0);

	atomic_flag_clear(giving);
	poll_until_idle();
	assert_int_equal(take(0), LANE_BURST);
	assert_false(atomic_flag_test_and_set(giving));
}

static void packets_for_a_disabled_ring_go_to_the_others(void **state)
{
	connect_vm(&guest.connections[0], 3);
	arrive(1, 2 * LANE_BURST);
	poll_until_idle();
	check_counters(2 * LANE_BURST, 0);
	atomic_store(&guest.connections[0].vf_to_vm_enabled, 1);
	offer(0);
	poll_until_idle();
	check_counters(0, 0);
	assert_int_equal(take(0), 2 * LANE_BURST);
}

/* The rings are the vhost thread's for a moment. */
static void everything_waits_for_a_paused_session(void **state)
{
	struct guest_session *session = &guest.connections[0];

	connect_vm(session, 3);
	arrive(0, LANE_BURST);
	poll_until_idle();
	offer(0);
	arrive(0, LANE_BURST);
	atomic_store(&session->paused, true);
	assert_int_equal(vf_to_vm_poll(&lane), 0);
	check_counters(LANE_BURST, 0);
	assert_int_equal(take(0), 0);

	atomic_store(&session->paused, false);
	poll_until_idle();
	assert_int_equal(take(0), 2 * LANE_BURST);
}

static void frames_that_no_buffer_can_hold_are_dropped(void **state)
{
	struct counters_snapshot now;

	connect_vm(&guest.connections[0], 1);
	offer(0);
	guest.connections[0].max_frame_bytes = PIECE_BYTES;
	arrive(0, 1);
	arrive_on(0, 0, 2);
	arrive(0, 1);
	poll_until_idle();
	assert_int_equal(take(0), 2);
	counters_read(&lane.lane.counters, &now);
	assert_int_equal(now.dropped[DROP_OVERSIZE].packets, 1);
	assert_int_equal(now.dropped[DROP_OVERSIZE].bytes, 2 * PIECE_BYTES);
}

/* From its first poll on: other workers use the others at the same time. */
static void slice_reads_its_own_queues_of_the_device(void **state)
{
	struct counters_snapshot now;

	connect_vm(&guest.connections[0], 3);
	lane.lane.slice = 1;
	lane.lane.n_slices = 2;
	for (uint16_t q = 0; q < vf.n_queues; q++)
		arrive_on(q, q % 2, 1);
	offer(0);
	offer(1);
	poll_until_idle();
	assert_int_equal(take(0), 0);
	assert_int_equal(take(1), vf.n_queues / 2);

	atomic_store(&guest.session, NULL);
	for (uint16_t q = 0; q < vf.n_queues; q++)
		arrive_on(q, q % 2, 1);
	poll_until_idle();
	counters_read(&lane.lane.counters, &now);
	assert_int_equal(now.dropped[DROP_NOT_CONNECTED].packets, vf.n_queues / 2);
}

/* Though a full ring ends a poll early, no queue of the device is read again before the others. */
static void queues_of_the_device_are_read_in_turn(void **state)
{
	const unsigned n_bursts = 2 * vf.n_queues + 1;

	connect_vm(&guest.connections[0], 1);
	for (uint16_t i = 0; i < n_bursts; i++)
		for (unsigned k = 0; k < LANE_BURST; k++)
			arrive_on(i % vf.n_queues, 0, 1);
	poll_until_idle();
	check_counters(LANE_BURST, 0);
	for (unsigned left = n_bursts * LANE_BURST; left > 0;) {
		offer(0);
		poll_until_idle();
		left -= take(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			stores_are_measured_anew_for_another_vm, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			waiting_packets_are_not_overtaken, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			full_share_holds_back_the_device_for_a_while, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			share_depends_on_the_number_of_slices, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(long_packets_have_room, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			packets_that_wait_for_all_rings_hold_back_the_device, open_lane,
			close_lane),
		cmocka_unit_test_setup_teardown(bond_is_read_on, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			ring_that_another_worker_uses_is_left_alone, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			packets_for_a_disabled_ring_go_to_the_others, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			everything_waits_for_a_paused_session, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			frames_that_no_buffer_can_hold_are_dropped, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			slice_reads_its_own_queues_of_the_device, open_lane, close_lane),
		cmocka_unit_test_setup_teardown(
			queues_of_the_device_are_read_in_turn, open_lane, close_lane),
	};

	return cmocka_run_group_tests(tests, start_device, NULL);
}
