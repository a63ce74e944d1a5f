/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/ring_loans.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/packet/offload.h"
#include "core/ring/ring_bench_fixture.h"

#define LONG 1500
#define SHORT 100
#define PARSED 128 /* bytes of a packet that nobody may change under a parser */

static struct bench *new_lender(bool packed)
{
	struct bench *bench = bench_new(packed);

	bench_lend(bench);
	return bench;
}

static unsigned given_back(struct bench *bench)
{
	unsigned n = 0;
	uint8_t *buffer;
	uint32_t written;

	while (driver_take_used(&bench->driver, &buffer, &written)) {
		assert_int_equal(written, 0);
		n++;
	}
	return n;
}

/* Lets the ring give back what is over, and returns how many buffers that were. */
static unsigned given_back_now(struct bench *bench)
{
	assert_int_equal(bench_take(bench, 0), 0);
	return given_back(bench);
}

static bool is_in_guest(const struct bench *bench, const struct rte_mbuf *segment)
{
	uintptr_t at = rte_pktmbuf_mtod(segment, uintptr_t);

	return at - (uintptr_t)bench->driver.memory < GUEST_BYTES;
}

/* A buffer that was taken later waits for those taken before it, copied or not. */
static void gives_back_in_order(void **state)
{
	static const unsigned bytes[] = {SHORT, LONG, SHORT, LONG, SHORT};

	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = new_lender(packed);
		for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++)
			bench_send(bench, bytes[i], 1, i);
		assert_int_equal(bench_take(bench, RING_BURST), ARRAY_SIZE(bytes));
		assert_int_equal(bench->lender.n_out, 2);
		assert_int_equal(given_back(bench), 1);
		rte_pktmbuf_free(bench->packets[3]);
		assert_int_equal(given_back_now(bench), 0);
		rte_pktmbuf_free(bench->packets[1]);
		assert_int_equal(given_back_now(bench), 4);
		for (unsigned i = 0; i < ARRAY_SIZE(bytes); i += 2)
			rte_pktmbuf_free(bench->packets[i]);
		bench_free(bench);
	}
}

/* The guest sends a frame in `n` pieces (0: in one) with its checksum left to the device. */
static void send_shape(struct bench *bench, const struct shape *shape, uint8_t gso_type,
	const uint32_t *pieces, unsigned n)
{
	static uint8_t frame[FRAME_MAX];
	uint8_t *buffer = driver_buffer(&bench->driver);
	struct layout layout = find_layout(shape);
	struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = layout.l4,
			.csum_offset = layout.checksum - layout.l4,
			.gso_type = gso_type,
			.gso_size = 1000},
	};
	struct rte_mbuf *packet = make_packet(bench->pool, shape);
	uint32_t bytes = linearize(packet, frame), all = HEADER + bytes;

	rte_pktmbuf_free(packet);
	memcpy(buffer, &header, HEADER);
	memcpy(buffer + HEADER, frame, bytes);
	assert_true(driver_offer(&bench->driver, n == 0 ? &all : pieces, n == 0 ? 1 : n, false));
}

static void send_tcp(struct bench *bench, unsigned payload_bytes, uint8_t gso_type,
	const uint32_t *pieces, unsigned n)
{
	const struct shape shape = {.payload_bytes = payload_bytes};

	send_shape(bench, &shape, gso_type, pieces, n);
}

/* A datagram to be fragmented. */
static void send_udp(struct bench *bench, unsigned payload_bytes, uint8_t ecn)
{
	const struct shape shape = {.udp = true, .payload_bytes = payload_bytes};

	send_shape(bench, &shape, VIRTIO_NET_HDR_GSO_UDP | ecn, NULL, 0);
}

/*
 * Bytes that nobody parses stay in the guest's memory; those that are parsed are out of its reach.
 */
static void copies_what_is_parsed(void **state)
{
	for (unsigned asks = 0; asks < 2; asks++) {
		struct bench *bench = new_lender(false);
		uint8_t *buffer = driver_buffer(&bench->driver), before[PARSED];
		if (asks)
			send_tcp(bench, 1400, VIRTIO_NET_HDR_GSO_NONE, NULL, 0);
		else
			bench_send(bench, LONG, 1, 7);
		assert_int_equal(bench_take(bench, 1), 1);
		struct rte_mbuf *packet = bench->packets[0], *last = rte_pktmbuf_lastseg(packet);
		assert_int_equal(packet->nb_segs, 1 + asks);
		assert_true(is_in_guest(bench, last));
		memcpy(before, rte_pktmbuf_mtod(packet, void *), PARSED);
		memset(buffer, 0xee, HEADER + LONG);
		assert_int_equal(*rte_pktmbuf_mtod(last, uint8_t *), 0xee);
		if (asks)
			assert_memory_equal(before, rte_pktmbuf_mtod(packet, void *), PARSED);
		rte_pktmbuf_free(packet);
		bench_free(bench);
	}
}

/* A checksum behind what would be copied is computed at once, so all of the packet is copied. */
static void copies_what_asks_for_a_checksum_far_behind(void **state)
{
	struct bench *bench = new_lender(false);
	struct virtio_net_hdr *header = (struct virtio_net_hdr *)driver_buffer(&bench->driver);

	bench_send(bench, LONG, 1, 7);
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = PARSED;
	header->csum_offset = 16;
	assert_int_equal(bench_take(bench, 1), 1);
	assert_int_equal(bench->lender.n_out, 0);
	rte_pktmbuf_free(bench->packets[0]);
	bench_free(bench);
}

/* A checksum that we finish is right, and nothing is written to the guest's buffers. */
static void finishes_checksums_in_our_part(void **state)
{
	static const struct offload_caps none;
	const struct shape shape = {.payload_bytes = 1400};
	static uint8_t frame[FRAME_MAX], before[GUEST_BYTES];

	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = new_lender(packed);
		send_tcp(bench, shape.payload_bytes, VIRTIO_NET_HDR_GSO_NONE, NULL, 0);
		memcpy(before, bench->driver.memory, GUEST_BYTES);
		assert_int_equal(bench_take(bench, 1), 1);
		assert_int_equal(bench->lender.n_out, 1);
		assert_true(offload_prepare(bench->packets[0], &none));
		check_frame(frame, linearize(bench->packets[0], frame), &shape);
		assert_memory_equal(before, bench->driver.memory, GUEST_BYTES);
		rte_pktmbuf_free(bench->packets[0]);
		bench_free(bench);
	}
}

/* A packet that we cut ourselves is copied: it waits between two bursts. No device cuts UDP. */
static void lends_segmentation_to_devices_that_cut(void **state)
{
	for (unsigned cuts = 0; cuts < 2; cuts++) {
		struct bench *bench = new_lender(false);
		bench->lender.segments = cuts;
		send_tcp(bench, 1900, VIRTIO_NET_HDR_GSO_TCPV4, NULL, 0);
		send_udp(bench, 1900, 0);
		send_udp(bench, 1900, VIRTIO_NET_HDR_GSO_ECN);
		assert_int_equal(bench_take(bench, 3), 3);
		assert_int_equal(bench->lender.n_out, cuts);
		for (unsigned i = 1; i < 3; i++)
			assert_false(is_in_guest(bench, rte_pktmbuf_lastseg(bench->packets[i])));
		rte_pktmbuf_free_bulk(bench->packets, 3);
		bench_free(bench);
	}
}

/* A device that takes no chains is lent packets that lie in one piece and ask for nothing. */
static void lends_one_segment_where_there_can_be_no_more(void **state)
{
	static const uint32_t pieces[] = {HEADER, 1200, 254}, piece[] = {HEADER, 1454};
	struct bench *bench = new_lender(false);

	bench->lender.chains = false;
	bench_send(bench, LONG, 1, 0);
	send_tcp(bench, 1400, VIRTIO_NET_HDR_GSO_NONE, NULL, 0);
	uint8_t *buffers[] = {driver_buffer(&bench->driver), NULL};
	assert_true(driver_offer(&bench->driver, pieces, 3, false));
	buffers[1] = driver_buffer(&bench->driver);
	assert_true(driver_offer(&bench->driver, piece, 2, false));
	memset(buffers[0], 0, HEADER);
	memset(buffers[1], 0, HEADER);
	assert_int_equal(bench_take(bench, RING_BURST), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(bench->packets[i]->nb_segs, 1);
		assert_int_equal(is_in_guest(bench, bench->packets[i]), i == 0 || i == 3);
	}
	rte_pktmbuf_free_bulk(bench->packets, 4);
	bench_free(bench);
}

/* Chains: large pieces are lent, a packet of small ones is copied; both arrive complete. */
static void lends_large_pieces(void **state)
{
	static const struct {
		uint32_t pieces[4];
		unsigned n;
		bool lent;
	} chains[] = {
		{{HEADER, 3622}, 2, true},
		{{HEADER + 54, 2122, 1446}, 3, true},
		{{HEADER + 54, 2122, 1400, 46}, 4, false},
		{{HEADER + 54, 200, 2068, 1300}, 4, false},
		{{HEADER + 1000, 1522, 1100}, 3, false},
	};
	const struct shape shape = {.payload_bytes = 3568};
	static const struct offload_caps none;
	static uint8_t frame[FRAME_MAX];

	for (unsigned i = 0; i < 4 * ARRAY_SIZE(chains); i++) {
		struct bench *bench = new_lender(i & 1);
		unsigned c = i / 4;
		bench->driver.indirect = i & 2;
		send_tcp(bench, shape.payload_bytes, VIRTIO_NET_HDR_GSO_NONE, chains[c].pieces,
			chains[c].n);
		assert_int_equal(bench_take(bench, 1), 1);
		assert_int_equal(bench->lender.n_out > 0, chains[c].lent);
		assert_true(offload_prepare(bench->packets[0], &none));
		check_frame(frame, linearize(bench->packets[0], frame), &shape);
		rte_pktmbuf_free(bench->packets[0]);
		assert_int_equal(bench->lender.n_out, 0);
		assert_int_equal(given_back_now(bench), 1);
		bench_free(bench);
	}
}

static void drops_malformed_and_gives_back(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct bench *bench = new_lender(i & 1);
		uint8_t *buffer = driver_buffer(&bench->driver);
		const struct virtio_net_hdr lie = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.csum_start = 34,
			.csum_offset = 16};
		bench_send(bench, LONG, 1 + i / 2, 0);
		memcpy(buffer, &lie, sizeof(lie));
		assert_int_equal(bench_take(bench, 1), 0);
		assert_int_equal(bench->account.dropped[DROP_MALFORMED].packets, 1);
		assert_int_equal(given_back_now(bench), 1);
		bench_free(bench);
	}
}

/* No more is lent than the device has room for; then nothing is taken until it has sent some. */
static void lends_so_much(void **state)
{
	struct bench *bench = new_lender(true);
	struct rte_mbuf *lent[3];

	bench->lender.max = ARRAY_SIZE(lent);
	for (unsigned i = 0; i < 10; i++)
		bench_send(bench, LONG, 1, i);
	assert_int_equal(bench_take(bench, 5), 5);
	assert_int_equal(bench->lender.n_out, ARRAY_SIZE(lent));
	memcpy(lent, bench->packets, sizeof(lent));
	rte_pktmbuf_free_bulk(&bench->packets[3], 2);
	assert_int_equal(bench_take(bench, 5), 0);
	rte_pktmbuf_free(lent[0]);
	assert_int_equal(bench_take(bench, 5), 5);
	assert_int_equal(bench->lender.n_out, ARRAY_SIZE(lent));
	assert_int_equal(given_back(bench), 1);
	rte_pktmbuf_free_bulk(&lent[1], 2);
	rte_pktmbuf_free_bulk(bench->packets, 5);
	assert_int_equal(given_back_now(bench), 9);
	bench_free(bench);
}

/* A packet of several segments is lent whole or not at all. */
static void lends_no_part_of_a_chain(void **state)
{
	static const uint32_t pieces[] = {HEADER + 54, 2122, 1446};
	struct bench *bench = new_lender(false);

	bench->lender.max = 3;
	for (unsigned i = 0; i < 2; i++)
		send_tcp(bench, 3568, VIRTIO_NET_HDR_GSO_NONE, pieces, ARRAY_SIZE(pieces));
	assert_int_equal(bench_take(bench, RING_BURST), 2);
	assert_int_equal(bench->lender.n_out, 2);
	assert_false(is_in_guest(bench, rte_pktmbuf_lastseg(bench->packets[1])));
	rte_pktmbuf_free_bulk(bench->packets, 2);
	bench_free(bench);
}

/* Without an mbuf for the second segment, a packet is copied, or waits. */
static void gets_along_without_buffers(void **state)
{
	static const uint32_t pieces[] = {HEADER + 2200, 254};

	for (unsigned chained = 0; chained < 2; chained++) {
		struct bench *bench = new_lender(false);
		struct rte_mbuf *all[600];
		send_tcp(bench, chained ? 2400 : 1400, VIRTIO_NET_HDR_GSO_NONE, pieces,
			chained ? 2 : 0);
		assert_int_equal(rte_pktmbuf_alloc_bulk(bench->pool, all, 600), 0);
		assert_int_equal(bench_take(bench, RING_BURST), 0);
		rte_pktmbuf_free(all[0]);
		assert_int_equal(bench_take(bench, RING_BURST), chained ? 0 : 1);
		assert_int_equal(bench->lender.n_out, 0);
		rte_pktmbuf_free_bulk(&all[1], 599);
		if (chained)
			assert_int_equal(bench_take(bench, RING_BURST), 1);
		rte_pktmbuf_free(bench->packets[0]);
		bench_free(bench);
	}
}

static void *send_late(void *packet)
{
	usleep(2000);
	rte_pktmbuf_free(packet);
	return NULL;
}

static void waits_for_the_device(void **state)
{
	struct bench *bench = new_lender(true);
	pthread_t device;

	bench_send(bench, LONG, 1, 0);
	assert_int_equal(bench_take(bench, 1), 1);
	assert_int_equal(pthread_create(&device, NULL, send_late, bench->packets[0]), 0);
	ring_end(&bench->ring, UINT64_MAX);
	assert_false(bench->ring.loans->unsent);
	assert_int_equal(given_back(bench), 1);
	pthread_join(device, NULL);
	bench_free(bench);
}

/*
 * A device does not send: the guest gets its buffers back and the ring goes on. The packet may be
 * freed much later; until then its loan is not used for another packet.
 */
static void goes_on_without_the_device(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = new_lender(packed);
		bench_send(bench, SHORT, 1, 0);
		bench_send(bench, LONG, 1, 1);
		bench_send(bench, LONG, 1, 2);
		assert_int_equal(bench_take(bench, 3), 3);
		struct rte_mbuf *stuck = bench->packets[2];
		rte_pktmbuf_free_bulk(bench->packets, 2);
		ring_end(&bench->ring, rte_rdtsc());
		assert_true(bench->ring.loans->unsent);
		assert_int_equal(given_back(bench), 3);
		ring_end(&bench->ring, rte_rdtsc());
		assert_false(ring_loans_sent(bench->ring.loans));
		assert_false(ring_loans_free(bench->ring.loans));
		for (unsigned i = 0; i < LOANS_MAX - 1; i++) {
			bench_send(bench, LONG, 1, i);
			assert_int_equal(bench_take(bench, 1), 1);
			rte_pktmbuf_free(bench->packets[0]);
			assert_int_equal(given_back_now(bench), 1);
		}
		bench_send(bench, LONG, 1, 0);
		assert_int_equal(bench_take(bench, 1), 0);
		rte_pktmbuf_free(stuck);
		assert_int_equal(bench_take(bench, 1), 1);
		rte_pktmbuf_free(bench->packets[0]);
		assert_true(ring_loans_sent(bench->ring.loans));
		ring_end(&bench->ring, rte_rdtsc());
		assert_false(bench->ring.loans->unsent);
		assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
		bench_free(bench);
	}
}

/* The guest is asked to kick for the first buffer that has not been taken. */
static void asks_behind_what_is_out(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = new_lender(packed);
		bench->ring.event_index = true;
		for (unsigned i = 0; i < 5; i++)
			bench_send(bench, LONG, 1, i);
		assert_int_equal(bench_take(bench, RING_BURST), 5);
		ring_ask_to_notify(&bench->ring, true);
		uint16_t event;
		memcpy(&event,
			packed ? (void *)&bench->ring.device_event->off_wrap
			       : &bench->ring.used->ring[SIZE],
			sizeof(event));
		assert_int_equal(event, packed ? 5 | 1 << VRING_PACKED_EVENT_F_WRAP_CTR : 5);
		rte_pktmbuf_free_bulk(bench->packets, 5);
		bench_free(bench);
	}
}

/* Buffers that have been taken cannot be withdrawn. */
static void retires_a_ring_whose_index_goes_back(void **state)
{
	struct bench *bench = new_lender(false);

	for (unsigned i = 0; i < 4; i++)
		bench_send(bench, LONG, 1, i);
	assert_int_equal(bench_take(bench, RING_BURST), 4);
	bench->ring.avail->idx = 2;
	struct rte_mbuf *packets[4];
	memcpy(packets, bench->packets, sizeof(packets));
	assert_int_equal(bench_take(bench, RING_BURST), 0);
	assert_int_equal(ring_fault(&bench->ring), RING_INDEX);
	rte_pktmbuf_free_bulk(packets, 4);
	bench_free(bench);
}

/* A ring that breaks the rules is left alone, and what was lent from it is not given back. */
static void leaves_a_retired_ring_alone(void **state)
{
	struct bench *bench = new_lender(false);

	bench_send(bench, LONG, 1, 0);
	assert_int_equal(bench_take(bench, 1), 1);
	bench->ring.avail->idx = SIZE + 1;
	struct rte_mbuf *packet = bench->packets[0];
	assert_int_equal(bench_take(bench, 1), 0);
	assert_int_equal(ring_fault(&bench->ring), RING_INDEX);
	rte_pktmbuf_free(packet);
	ring_end(&bench->ring, UINT64_MAX);
	assert_false(bench->ring.loans->unsent);
	assert_int_equal(given_back(bench), 0);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_in_order),
		cmocka_unit_test(copies_what_is_parsed),
		cmocka_unit_test(copies_what_asks_for_a_checksum_far_behind),
		cmocka_unit_test(finishes_checksums_in_our_part),
		cmocka_unit_test(lends_segmentation_to_devices_that_cut),
		cmocka_unit_test(lends_one_segment_where_there_can_be_no_more),
		cmocka_unit_test(lends_large_pieces),
		cmocka_unit_test(drops_malformed_and_gives_back),
		cmocka_unit_test(lends_so_much),
		cmocka_unit_test(lends_no_part_of_a_chain),
		cmocka_unit_test(gets_along_without_buffers),
		cmocka_unit_test(waits_for_the_device),
		cmocka_unit_test(goes_on_without_the_device),
		cmocka_unit_test(asks_behind_what_is_out),
		cmocka_unit_test(retires_a_ring_whose_index_goes_back),
		cmocka_unit_test(leaves_a_retired_ring_alone),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
