/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device is net_null, whose transmit function is replaced by one that refuses packets for ever;
 * the VM is a ring in a piece of memory. The TSC is not waited for: what the lane has noted of it
 * is changed.
 */
#include <limits.h>
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
#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/packet_fixture.h"
#include "core/ring/ring_fixture.h"
#include "core/vf/bond_fixture.h"
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
	unsigned refusals; /* of so many packets, whatever they are */
	bool has_ring;     /* refuses packets that need more descriptors than there are free */
	unsigned n_free;
	bool is_down;
} device;

/* The linker puts it in place of the real one. */
__typeof__(rte_eth_link_get_nowait) __wrap_rte_eth_link_get_nowait;

int __wrap_rte_eth_link_get_nowait(uint16_t port, struct rte_eth_link *ret_link)
{
	*ret_link = (struct rte_eth_link){.link_status = !device.is_down};
	return 0;
}

static uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		if (packets[i]->pkt_len == REFUSED_BYTES)
			return i;
		if (device.refusals > 0) {
			device.refusals--;
			return i;
		}
		if (device.has_ring) {
			if (packets[i]->nb_segs > device.n_free)
				return i;
			device.n_free -= packets[i]->nb_segs;
		}
		device.n_sent++;
		rte_pktmbuf_free(packets[i]);
	}
	return n;
}

static void replace_driver(uint16_t port)
{
	rte_eth_fp_ops[port].tx_pkt_burst = transmit;
}

static void open_lane(const struct device_spec *spec)
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
	driver_init(&driver, memory, 256, false);
	session->memory = one_region(memory);
	driver_ring(&driver, &session->memory, &session->rings[GUEST_TRANSMIT_RING(0)]);
	atomic_store(&session->vm_to_vf_enabled, 1);
	atomic_store(&guest.session, session);
	lane.lane.guest = &guest;
}

static int open_single(void **state)
{
	struct device_spec spec = {.n_members = 1};
	struct err err;

	assert_int_equal(device_id_parse("net_null0", &spec.members[0], &err), 0);
	open_lane(&spec);
	replace_driver(lane.lane.vf->port);
	return 0;
}

static void open_bond_of(unsigned mode)
{
	struct device_spec spec = {.n_members = 2, .bond_name = "net_bonding0", .bond_mode = mode};
	uint16_t members[2];
	struct err err;

	assert_int_equal(device_id_parse("net_null0", &spec.members[0], &err), 0);
	assert_int_equal(device_id_parse("net_null1", &spec.members[1], &err), 0);
	open_lane(&spec);
	wait_for_members(lane.lane.vf->port, members, 2);
	for (unsigned i = 0; i < 2; i++)
		replace_driver(members[i]);
}

static int open_bond(void **state)
{
	open_bond_of(BONDING_MODE_ACTIVE_BACKUP);
	return 0;
}

static int open_round_robin(void **state)
{
	open_bond_of(BONDING_MODE_ROUND_ROBIN);
	return 0;
}

static int open_lacp(void **state)
{
	open_bond_of(BONDING_MODE_8023AD);
	return 0;
}

static int open_alb(void **state)
{
	open_bond_of(BONDING_MODE_ALB);
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

static void send_arp_packet(void)
{
	static const uint8_t ethertype[] = {0x08, 0x06};
	uint8_t *frame = driver_buffer(&driver) + HEADER_BYTES;

	send_packet(60);
	memcpy(frame + 12, ethertype, sizeof(ethertype));
}

/* Sends a TCP packet to be cut into segments of so many bytes. */
static void send_long_packet(uint32_t payload_bytes, uint32_t segment_bytes)
{
	const struct shape shape = {.payload_bytes = payload_bytes};
	struct rte_mbuf *packet = make_packet(lane.lane.vf->pool, &shape);
	uint32_t length = HEADER_BYTES + packet->pkt_len;
	static uint8_t frame[FRAME_MAX];
	const struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.gso_size = segment_bytes - 54,
			.csum_start = 34,
			.csum_offset = 16,
		}};

	linearize(packet, frame);
	memcpy(driver_buffer(&driver), &header, HEADER_BYTES);
	memcpy(driver_buffer(&driver) + HEADER_BYTES, frame, packet->pkt_len);
	rte_pktmbuf_free(packet);
	assert_true(driver_offer(&driver, &length, 1, false));
}

/* A poll long after the one before. */
static void poll(void)
{
	lane.refused_at -= rte_get_tsc_hz();
	vm_to_vf_poll(&lane);
}

static void poll_for_almost(unsigned seconds)
{
	for (unsigned i = 1; i < seconds * POLLS; i++)
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
		poll_for_almost(1);
		assert_counted(3 * round + 3, 2 * round + 1, round);
		poll(); /* the packet behind it passes it by */
		assert_counted(3 * round + 3, 2 * round + 2, round);
		poll();
		assert_counted(3 * round + 3, 2 * round + 2, round + 1);
	}
}

/* While there is nothing else, it is in nobody's way. The next packet shows what is the matter. */
static void lone_refused_packet_is_dropped(void **state)
{
	send_packet(REFUSED_BYTES);
	poll_for_almost(9);
	assert_counted(1, 0, 0);
	send_packet(60);
	poll();
	assert_counted(2, 1, 0);
	poll();
	assert_counted(2, 1, 1);
}

/* Those that follow one another share one second, as long as others pass them by. */
static void refused_packets_share_their_time(void **state)
{
	for (unsigned i = 0; i < LANE_BURST; i++)
		send_packet(i < LANE_BURST / 2 ? REFUSED_BYTES : 60);
	poll_for_almost(1);
	assert_counted(LANE_BURST, 0, 0);
	poll();
	for (unsigned i = 0; i < LANE_BURST * LANE_BURST; i++)
		vm_to_vf_poll(&lane);
	assert_counted(LANE_BURST, LANE_BURST / 2, LANE_BURST / 2);
}

/* Their VM may have gone. The next burst has a time of its own. */
static void refused_burst_is_dropped(void **state)
{
	for (unsigned i = 0; i < LANE_BURST + 1; i++)
		send_packet(REFUSED_BYTES);
	poll_for_almost(10);
	assert_counted(LANE_BURST, 0, 0);
	poll();
	assert_counted(LANE_BURST, 0, LANE_BURST);
	poll_for_almost(10);
	assert_counted(LANE_BURST + 1, 0, LANE_BURST);
	poll();
	assert_counted(LANE_BURST + 1, 0, LANE_BURST + 1);
}

/* A queue that does not move is not a refusal. It may have room again at any moment. */
static void full_queue_is_waited_for(void **state)
{
	send_packet(60);
	send_packet(61);
	device.refusals = UINT_MAX;
	poll_for_almost(9);
	assert_counted(2, 0, 0);
	send_packet(62);
	device.refusals = 1; /* so it takes what is behind the oldest first */
	poll();
	assert_counted(3, 1, 0);
	poll();
	assert_counted(3, 2, 0);
	poll();
	assert_counted(3, 3, 0);
	send_packet(60);
	device.refusals = UINT_MAX;
	poll_for_almost(1);
	assert_counted(4, 3, 0);
}

/* The driver of AF_PACKET is never in doubt: it refuses a packet only if the ring is full. */
static void slow_socket_is_waited_for(void **state)
{
	lane.lane.vf->n_sockets = 1;
	send_packet(60);
	send_packet(61);
	device.refusals = UINT_MAX;
	poll_for_almost(30);
	assert_counted(2, 0, 0);
	device.refusals = 0;
	poll();
	assert_counted(2, 2, 0);
}

/* The next device of the lane may have no socket. */
static void no_socket_is_pushed_after_detaching(void **state)
{
	lane.lane.vf->n_sockets = 1;
	send_packet(60);
	poll();
	assert_true(lane.to_push);
	vm_to_vf_drain(&lane);
	assert_false(lane.to_push);
}

/* What a full burst has used is held, but not while the device takes nothing. */
static void nothing_is_held_while_the_device_is_full(void **state)
{
	uint8_t *buffer;
	uint32_t written;

	session->rings[GUEST_TRANSMIT_RING(0)].hold_cycles = UINT64_MAX;
	for (unsigned i = 0; i < LANE_BURST; i++)
		send_packet(60);
	poll();
	assert_counted(LANE_BURST, LANE_BURST, 0);
	assert_false(driver_take_used(&driver, &buffer, &written));
	for (unsigned i = 0; i < LANE_BURST - 1; i++)
		send_packet(60);
	poll();
	for (unsigned i = 0; i < 2 * LANE_BURST - 1; i++)
		assert_true(driver_take_used(&driver, &buffer, &written));
	for (unsigned i = 0; i < LANE_BURST; i++)
		send_packet(60);
	device.refusals = 1;
	poll();
	assert_counted(3 * LANE_BURST - 1, 2 * LANE_BURST - 1, 0);
	for (unsigned i = 0; i < LANE_BURST; i++)
		assert_true(driver_take_used(&driver, &buffer, &written));
}

/* A packet of many descriptors and four small ones, to a device with room for a small one. */
static void send_large_and_small(void)
{
	lane.lane.vf->offloads = (struct offload_caps){.checksum = true, .tso = true};
	device.has_ring = true;
	device.n_free = 1;
	send_long_packet(4000, 500);
	for (unsigned i = 0; i < 4; i++)
		send_packet(60);
}

/* A packet of many descriptors finds no room any more, and small ones do. */
static void room_for_large_packet_is_waited_for(void **state)
{
	send_large_and_small();
	poll_for_almost(9);
	assert_counted(5, 1, 0);
	device.n_free = 10;
	poll();
	poll();
	assert_counted(5, 5, 0);
}

/* The same packet, if it is refused although there is room. */
static void large_refused_packet_is_dropped(void **state)
{
	send_large_and_small();
	poll_for_almost(1);
	for (unsigned i = 0; i < 4; i++) {
		device.n_free = 1;
		poll();
	}
	assert_counted(5, 3, 1);
}

static void link_is_waited_for(void **state)
{
	device.refusals = UINT_MAX;
	device.is_down = true;
	send_packet(60);
	send_packet(60);
	for (unsigned i = 0; i < 5; i++)
		poll_for_almost(10);
	assert_counted(2, 0, 0);
	device.is_down = false;
	device.refusals = 0;
	poll();
	poll();
	assert_counted(2, 2, 0);
}

/* The worker, or the whole machine, was stopped: what the device did meanwhile is unknown. */
static void time_without_polls_does_not_count(void **state)
{
	device.refusals = UINT_MAX;
	send_packet(60);
	poll();
	lane.refused_at -= 100 * rte_get_tsc_hz();
	poll();
	assert_counted(1, 0, 0);
	device.refusals = 0;
	poll();
	assert_counted(1, 1, 0);
}

/* A slow device has taken something now and then. */
static void any_progress_counts(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		device.refusals = UINT_MAX;
		send_packet(60);
		poll_for_almost(1);
		device.refusals = 0;
		poll();
		assert_counted(i + 1, i + 1, 0);
	}
}

/* With a refused segment the packet goes, not one segment a second. */
static void segments_are_dropped_with_their_packet(void **state)
{
	send_long_packet(4000, REFUSED_BYTES);
	send_packet(60);
	poll_for_almost(1);
	assert_counted(2, 0, 0);
	assert_int_equal(lane.segments.n, LANE_BURST);
	poll();
	assert_counted(2, 1, 0);
	poll();
	assert_counted(2, 1, 1);
}

static uint16_t refuse_all(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	return 0;
}

static void packet_of_refused_segments_is_not_sent(void **state)
{
	lane.lane.vf->offloads.checksum = true;
	rte_eth_fp_ops[lane.lane.vf->port].tx_pkt_prepare = refuse_all;
	send_long_packet(4000, 1054);
	poll_for_almost(1);
	assert_int_equal(counters().sent.packets, 0);
	assert_int_equal(counters().dropped[DROP_MALFORMED].packets, 1);
}

/* Otherwise the time for it would be nobody's, and the lane would be taken for silent. */
static void each_poll_that_sends_segments_counts(void **state)
{
	const unsigned segments = 100;

	send_long_packet(segments * 20, 20 + 54);
	for (unsigned sent = 0; sent < segments; sent += LANE_BURST)
		assert_int_not_equal(vm_to_vf_poll(&lane), 0);
	assert_int_equal(device.n_sent, segments);
	assert_int_equal(vm_to_vf_poll(&lane), 0);
}

/* However much the guest sends by its other rings. */
static void disabled_rings_are_emptied(void **state)
{
	const uint32_t bytes = HEADER_BYTES + 60, more = 4000;
	const unsigned polls = 64, enough = RING_BURST_BYTES / more + 1;
	struct driver disabled;
	uint8_t *other = malloc(GUEST_BYTES), *buffer;
	uint32_t written;

	assert_non_null(other);
	driver_init(&disabled, other, 128, false);
	disabled.gpa = GUEST_GPA + GUEST_BYTES;
	driver_ring(&disabled, &session->memory, &session->rings[GUEST_TRANSMIT_RING(1)]);
	session->memory.regions[session->memory.n_regions++] =
		(struct guest_region){.gpa = disabled.gpa, .bytes = GUEST_BYTES, .host = other};
	atomic_store(&session->vm_to_vf_disabled, 1u << 1);
	vm_to_vf_poll(&lane);
	assert_true(driver_offer(&disabled, &bytes, 1, false));
	for (unsigned i = 0; i < polls; i++) {
		for (unsigned k = 0; k < enough; k++)
			send_packet(more);
		assert_true(vm_to_vf_poll(&lane) >= MANY_MOVED); /* there may be more */
		while (driver_take_used(&driver, &buffer, &written))
			;
	}
	assert_true(driver_take_used(&disabled, &buffer, &written));
	assert_int_equal(counters().dropped[DROP_OVERSIZE].packets, enough * polls);
	assert_int_equal(counters().dropped[DROP_NOT_CONNECTED].packets, 1);
	free(other);
}

/* This bond sends on its members in turn, and puts what it cannot send behind what it can. */
static void bond_changes_the_order(void **state)
{
	send_packet(60);
	send_packet(REFUSED_BYTES);
	send_packet(60);
	poll();
	assert_counted(3, 2, 0);
	send_packet(60);
	send_packet(60);
	poll_for_almost(1);
	poll();
	assert_counted(3, 2, 0);
	poll();
	assert_counted(5, 3, 0);
	poll();
	assert_counted(5, 3, 1);
	poll();
	assert_counted(5, 4, 1);
}

/* This bond sorts out the ARP packets of a burst, and then mistakes which of the others are left.
 */
static void bond_sorts_packets(void **state)
{
	uint8_t *buffer;
	uint32_t written;

	device.has_ring = true;
	for (unsigned n_free = 0; n_free < LANE_BURST; n_free++) {
		const unsigned before = n_free * LANE_BURST;
		device.n_free = n_free;
		while (driver_take_used(&driver, &buffer, &written))
			;
		for (unsigned i = 0; i < LANE_BURST; i++)
			i == LANE_BURST / 2 ? send_arp_packet() : send_packet(60);
		vm_to_vf_poll(&lane);
		assert_counted(before + LANE_BURST, before + n_free, 0);
		device.n_free = UINT_MAX;
		vm_to_vf_poll(&lane);
		assert_counted(before + LANE_BURST, before + LANE_BURST, 0);
	}
}

/* Nobody answers here. */
static void lacp_partner_is_waited_for(void **state)
{
	send_packet(60);
	send_packet(60);
	for (unsigned i = 0; i < 5; i++)
		poll_for_almost(10);
	assert_counted(2, 0, 0);
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, close_lane)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(open_single, refused_packet_is_dropped),
		WITH(open_single, refused_burst_is_dropped),
		WITH(open_single, full_queue_is_waited_for),
		WITH(open_single, slow_socket_is_waited_for),
		WITH(open_single, no_socket_is_pushed_after_detaching),
		WITH(open_single, nothing_is_held_while_the_device_is_full),
		WITH(open_single, room_for_large_packet_is_waited_for),
		WITH(open_single, large_refused_packet_is_dropped),
		WITH(open_single, link_is_waited_for),
		WITH(open_single, lone_refused_packet_is_dropped),
		WITH(open_single, refused_packets_share_their_time),
		WITH(open_single, time_without_polls_does_not_count),
		WITH(open_single, any_progress_counts),
		WITH(open_single, segments_are_dropped_with_their_packet),
		WITH(open_single, packet_of_refused_segments_is_not_sent),
		WITH(open_single, each_poll_that_sends_segments_counts),
		WITH(open_single, disabled_rings_are_emptied),
		WITH(open_bond, refused_packet_is_dropped),
		WITH(open_round_robin, bond_changes_the_order),
		WITH(open_lacp, lacp_partner_is_waited_for),
		WITH(open_alb, bond_sorts_packets),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
