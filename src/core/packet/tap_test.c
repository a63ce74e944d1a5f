/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/capture.h"
#include "core/packet/packet_fixture.h"
#include "core/packet/tap.h"

static struct rte_mempool *pool;
static struct capture_ring *ring;

static int set_up(void **state)
{
	pool = make_pool(256);
	ring = calloc(1, sizeof(*ring));
	return ring == NULL;
}

static int tear_down(void **state)
{
	free(ring);
	free_pool(pool);
	return 0;
}

/* Reads the record at a position; returns the position behind it. */
static uint64_t take(uint64_t position, struct capture_record *ret_record, uint8_t *ret_data)
{
	uint8_t *to = (uint8_t *)ret_record;

	for (size_t i = 0; i < sizeof(*ret_record); i++)
		to[i] = ring->data[(position + i) % CAPTURE_RING_BYTES];
	for (uint32_t i = 0; i < ret_record->kept; i++)
		ret_data[i] = ring->data[(position + sizeof(*ret_record) + i) % CAPTURE_RING_BYTES];
	return position + capture_record_bytes(ret_record->kept);
}

/* Chained packets come out complete and in order, across the end of the ring as well. */
static void test_packets_come_out(void **state)
{
	const struct shape shape = {.payload_bytes = 1401, .piece_bytes = 100};
	struct rte_mbuf *packet = make_packet(pool, &shape);
	uint8_t frame[FRAME_MAX], data[FRAME_MAX];
	uint32_t length = linearize(packet, frame);
	struct tap tap = {.ring = ring, .snaplen = CAPTURE_SNAPLEN_MAX};
	struct capture_record record;
	uint64_t position = 0;

	while (position < 3 * (uint64_t)CAPTURE_RING_BYTES) {
		tap_packets(&tap, &packet, 1);
		position = take(position, &record, data);
		assert_int_equal(position, ring->head);
		assert_int_equal(record.length, length);
		assert_int_equal(record.kept, length);
		assert_true(record.time_ns > 0);
		assert_memory_equal(data, frame, length);
		ring->tail = position;
	}
	assert_int_equal(ring->lost, 0);
	rte_pktmbuf_free(packet);
}

static void test_snaplen(void **state)
{
	const struct shape shape = {.payload_bytes = 500, .piece_bytes = 64};
	struct rte_mbuf *packets[] = {make_packet(pool, &shape), make_packet(pool, &shape)};
	struct tap tap = {.ring = ring, .snaplen = 101};
	uint8_t frame[FRAME_MAX], data[FRAME_MAX];
	struct capture_record record;
	uint64_t position = 0;

	linearize(packets[0], frame);
	tap_packets(&tap, packets, 2);
	for (unsigned i = 0; i < 2; i++) {
		position = take(position, &record, data);
		assert_int_equal(record.kept, 101);
		assert_int_equal(record.length, packets[i]->pkt_len);
		assert_memory_equal(data, frame, 101);
	}
	assert_int_equal(position, ring->head);
	rte_pktmbuf_free_bulk(packets, 2);
}

/* A reader that does not read: what is in the ring stays unchanged, the rest is counted. */
static void test_full(void **state)
{
	const struct shape shape = {.payload_bytes = 1000};
	struct rte_mbuf *packet = make_packet(pool, &shape);
	struct tap tap = {.ring = ring, .snaplen = CAPTURE_SNAPLEN_MAX};
	const uint64_t bytes = capture_record_bytes(packet->pkt_len);
	const uint64_t fit = CAPTURE_RING_BYTES / bytes;

	for (uint64_t i = 0; i < fit + 10; i++)
		tap_packets(&tap, &packet, 1);
	assert_int_equal(ring->head, fit * bytes);
	assert_int_equal(ring->lost, 10);
	ring->tail = bytes;
	tap_packets(&tap, &packet, 1);
	assert_int_equal(ring->head, (fit + 1) * bytes);
	assert_int_equal(ring->lost, 10);
	rte_pktmbuf_free(packet);
}

/* Whatever the reader writes where it may, nothing outside the ring is touched (ASan). */
static void test_reader_that_lies(void **state)
{
	static const uint64_t lies[] = {UINT64_MAX, UINT64_MAX - CAPTURE_RING_BYTES, 1, 1 << 20,
		UINT64_MAX / 2, CAPTURE_RING_BYTES};
	const struct shape shape = {.payload_bytes = 1400, .piece_bytes = 100};
	struct rte_mbuf *packet = make_packet(pool, &shape);
	struct tap tap = {.ring = ring, .snaplen = CAPTURE_SNAPLEN_MAX};

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t head = tap.head, lost = tap.lost;

		ring->tail = lies[i % ARRAY_SIZE(lies)];
		ring->head = lies[(i + 1) % ARRAY_SIZE(lies)];
		ring->lost = UINT64_MAX;
		tap_packets(&tap, &packet, 1);
		assert_int_equal(ring->head, tap.head);
		assert_int_equal(ring->lost, tap.lost);
		assert_true((tap.head > head) != (tap.lost > lost));
	}
	rte_pktmbuf_free(packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_packets_come_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_snaplen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_that_lies, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
