/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device is net_null, whose transmit function is replaced by one that refuses packets for ever;
 * the VM is a ring in a piece of memory. The TSC is not waited for: what the lane has noted of it
 * is changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>

#include "base/util.h"
#include "core/dpdk/dpdk_compat.h"
#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/packet_fixture.h"
#include "core/ring/ring_fixture.h"
#include "core/vf/vf.h"

#define HEADER_BYTES sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define REFUSED_BYTES 77 /* the length of packets that the device refuses */
#define POLLS 20         /* that count as 50 ms each: a second */

static struct guest guest;
static struct guest_session *const session = &guest.connections[0];
static struct vm_to_vf lane;
static struct driver driver;
static uint8_t *memory;

static struct {
	unsigned n_sent;
	bool refuses_all;
	uint16_t used;       /* descriptors */
	bool counts_used;    /* its driver counts descriptors from the oldest that is in use */
	bool does_not_count; /* or not at all */
	bool is_up;
} device;

/* The linker puts it in place of the real one. */
__typeof__(rte_eth_link_get_nowait) __wrap_rte_eth_link_get_nowait;

int __wrap_rte_eth_link_get_nowait(uint16_t port, struct rte_eth_link *ret_link)
{
	*ret_link = (struct rte_eth_link){.link_status = device.is_up};
	return 0;
}

static uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		if (device.refuses_all || packets[i]->pkt_len == REFUSED_BYTES)
			return i;
		device.n_sent++;
		rte_pktmbuf_free(packets[i]);
	}
	return n;
}

static int descriptor_status(void *queue, uint16_t i)
{
	const uint16_t size = lane.lane.vf->ring_tx;

	assert_true(i < size);
	if (device.does_not_count)
		return -ENOTSUP;
	bool is_used = device.counts_used ? i < device.used : i >= size - device.used;
	return is_used ? RTE_ETH_TX_DESC_FULL : RTE_ETH_TX_DESC_DONE;
}

static void replace_driver(uint16_t port)
{
	rte_eth_fp_ops[port].tx_pkt_burst = transmit;
	rte_eth_fp_ops[port].tx_descriptor_status = descriptor_status;
}

static void open_lane(const struct op_device *spec)
{
	const struct vf_options options = {.mtu = 1500};
	struct err err = {};

	vm_to_vf_init(&lane, 0, NULL);
	if (vf_open(&lane.lane.vf, spec, &options, &err) < 0)
		fail_msg("%s", err.text);
	memset(&device, 0, sizeof(device));
	memset(&guest, 0, sizeof(guest));
	memory = malloc(GUEST_BYTES);
	assert_non_null(memory);
	driver_init(&driver, memory, 128, false);
	session->memory = one_region(memory);
	driver_ring(&driver, &session->memory, &session->rings[GUEST_TRANSMIT_RING(0)]);
	atomic_store(&session->vm_to_vf_enabled, 1);
	atomic_store(&guest.session, session);
	lane.lane.guest = &guest;
}

static int open_single(void **state)
{
	struct op_device spec = {.n_members = 1};
	struct err err;

	assert_int_equal(device_id_parse("net_null0", &spec.members[0], &err), 0);
	open_lane(&spec);
	replace_driver(lane.lane.vf->port);
	return 0;
}

static int open_bond(void **state)
{
	struct op_device spec = {.n_members = 2,
		.bond_name = "net_bonding0",
		.bond_mode = BONDING_MODE_ACTIVE_BACKUP};
	uint16_t members[2];
	struct err err;

	assert_int_equal(device_id_parse("net_null0", &spec.members[0], &err), 0);
	assert_int_equal(device_id_parse("net_null1", &spec.members[1], &err), 0);
	open_lane(&spec);
	for (unsigned ms = 0; rte_eth_bond_active_members_get(lane.lane.vf->port, members, 2) < 2;
		ms++) {
		assert_true(ms < 5000);
		rte_delay_ms(1);
	}
	for (unsigned i = 0; i < 2; i++)
		replace_driver(members[i]);
	return 0;
}

static int close_lane(void **state)
{
	vm_to_vf_drain(&lane);
	assert_int_equal(rte_mempool_in_use_count(lane.lane.vf->pool), 0);
	vf_close(lane.lane.vf);
	free(memory);
	return 0;
}

static void send_packet(uint32_t bytes)
{
	uint32_t length = HEADER_BYTES + bytes;

	memset(driver_buffer(&driver), 0, HEADER_BYTES);
	memset(driver_buffer(&driver) + HEADER_BYTES, 0xaa, bytes);
	assert_true(driver_offer(&driver, &length, 1, false));
}

/* A poll long after the one before. */
static void poll(void)
{
	lane.refused_at -= rte_get_tsc_hz();
	vm_to_vf_poll(&lane);
}

static void poll_for_almost_a_second(void)
{
	for (unsigned i = 1; i < POLLS; i++)
		poll();
}

static struct counters_snapshot counters(void)
{
	struct counters_snapshot snapshot;

	counters_read(&lane.lane.counters, &snapshot);
	return snapshot;
}

static void assert_counted(unsigned received, unsigned sent, unsigned refused)
{
	struct counters_snapshot snapshot = counters();
	uint64_t bytes = snapshot.sent.bytes + snapshot.backlog.bytes;

	assert_int_equal(device.n_sent, sent);
	assert_int_equal(snapshot.received.packets, received);
	assert_int_equal(snapshot.sent.packets, sent);
	assert_int_equal(snapshot.dropped[DROP_MALFORMED].packets, refused);
	assert_int_equal(snapshot.backlog.packets, received - sent - refused);
	assert_int_equal(snapshot.received.bytes, bytes + snapshot.dropped[DROP_MALFORMED].bytes);
	assert_int_equal(atomic_load(&lane.n_refused), refused);
}

/* Once more for each VM, and for each packet of one. */
static void refused_packet_is_dropped(void **state)
{
	for (unsigned round = 0; round < 3; round++) {
		send_packet(60);
		send_packet(REFUSED_BYTES);
		send_packet(60);
		poll();
		poll_for_almost_a_second();
		assert_counted(3 * round + 3, 2 * round + 1, round);
		poll();
		assert_counted(3 * round + 3, 2 * round + 1, round + 1);
		poll();
		assert_counted(3 * round + 3, 2 * round + 2, round + 1);
	}
}

/* They share one second, whose VM may have gone. The next burst has a second of its own. */
static void refused_burst_is_dropped(void **state)
{
	for (unsigned i = 0; i < LANE_BURST + 1; i++)
		send_packet(REFUSED_BYTES);
	poll_for_almost_a_second();
	assert_counted(LANE_BURST, 0, 0);
	for (unsigned i = 0; i < LANE_BURST; i++)
		poll();
	assert_counted(LANE_BURST, 0, LANE_BURST);
	poll_for_almost_a_second();
	assert_counted(LANE_BURST + 1, 0, LANE_BURST);
	poll();
	assert_counted(LANE_BURST + 1, 0, LANE_BURST + 1);
}

/* A queue that does not move is not a refusal, however its driver counts and however long it is. */
static void full_queue_is_waited_for(void **state)
{
	const uint16_t size = lane.lane.vf->ring_tx;

	device.refuses_all = true;
	send_packet(60);
	for (unsigned i = 0; i < 4; i++) {
		device.counts_used = i % 2;
		device.used = i / 2 ? size : size - size / 4;
		for (unsigned n = 0; n < 5 * POLLS; n++)
			poll();
		assert_counted(1, 0, 0);
	}
	device.used = size / 4;
	for (unsigned i = 0; i < POLLS; i++)
		poll();
	assert_counted(1, 0, 1);
}

static void links_are_asked_of_drivers_that_do_not_count(void **state)
{
	device.refuses_all = device.does_not_count = true;
	send_packet(60);
	for (unsigned i = 0; i < 5 * POLLS; i++)
		poll();
	assert_counted(1, 0, 0);
	device.is_up = true;
	for (unsigned i = 0; i < POLLS; i++)
		poll();
	assert_counted(1, 0, 1);
}

/* The worker, or the whole machine, was stopped: what the device did meanwhile is unknown. */
static void time_without_polls_does_not_count(void **state)
{
	device.refuses_all = true;
	send_packet(60);
	poll();
	lane.refused_at -= 100 * rte_get_tsc_hz();
	poll();
	assert_counted(1, 0, 0);
	device.refuses_all = false;
	poll();
	assert_counted(1, 1, 0);
}

/* A slow device has taken something now and then. */
static void any_progress_counts(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		device.refuses_all = true;
		send_packet(60);
		poll_for_almost_a_second();
		device.refuses_all = false;
		poll();
		assert_counted(i + 1, i + 1, 0);
	}
}

/* With a refused segment the packet goes, not one segment a second. */
static void segments_are_dropped_with_their_packet(void **state)
{
	const struct shape shape = {.payload_bytes = 4000};
	struct rte_mbuf *packet = make_packet(lane.lane.vf->pool, &shape);
	uint32_t length = HEADER_BYTES + packet->pkt_len;
	static uint8_t frame[FRAME_MAX];
	const struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.gso_size = REFUSED_BYTES - 54,
			.csum_start = 34,
			.csum_offset = 16,
		}};

	linearize(packet, frame);
	memcpy(driver_buffer(&driver), &header, HEADER_BYTES);
	memcpy(driver_buffer(&driver) + HEADER_BYTES, frame, packet->pkt_len);
	rte_pktmbuf_free(packet);
	assert_true(driver_offer(&driver, &length, 1, false));
	send_packet(60);
	poll_for_almost_a_second();
	assert_counted(2, 0, 0);
	assert_int_equal(lane.segments.n, LANE_BURST);
	poll();
	assert_counted(2, 0, 1);
	poll();
	assert_counted(2, 1, 1);
}

/* All members that are up must have room: it is not known which one the packet is for. */
static void members_are_asked(void **state)
{
	device.refuses_all = true;
	device.used = lane.lane.vf->ring_tx;
	send_packet(60);
	for (unsigned i = 0; i < 5 * POLLS; i++)
		poll();
	assert_counted(1, 0, 0);
	device.used = 0;
	for (unsigned i = 0; i < POLLS; i++)
		poll();
	assert_counted(1, 0, 1);
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, close_lane)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(open_single, refused_packet_is_dropped),
		WITH(open_single, refused_burst_is_dropped),
		WITH(open_single, full_queue_is_waited_for),
		WITH(open_single, links_are_asked_of_drivers_that_do_not_count),
		WITH(open_single, time_without_polls_does_not_count),
		WITH(open_single, any_progress_counts),
		WITH(open_single, segments_are_dropped_with_their_packet),
		WITH(open_bond, refused_packet_is_dropped),
		WITH(open_bond, members_are_asked),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
