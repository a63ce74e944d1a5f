/* SPDX-License-Identifier: BSD-3-Clause */

/* How far a packed ring has got: what a backend finds that replaces one that died. */

#include "core/ring/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/ring/ring_bench_fixture.h"

/* For every position: what a backend finds that replaces one that died. */
static void finds_position(bool packed, uint16_t size)
{
	struct bench *bench = bench_new_of(packed, size);
	struct ring *ring = &bench->ring;
	uint8_t *buffer;
	uint32_t written;

	for (unsigned sent = 0; sent < 3u * size; sent++) {
		const uint16_t next = ring->next;
		const bool wrap = ring->wrap;

		for (unsigned taken = 0; taken < 2; taken++) { /* by the driver: none, then all */
			assert_false(ring_packed_find_position(ring));
			ring->next = 0;
			ring->wrap = true;
			assert_int_equal(
				ring_packed_find_position(ring), next != 0 || wrap != true);
			assert_int_equal(ring->next, next);
			assert_int_equal(ring->wrap, wrap);
			while (driver_take_used(&bench->driver, &buffer, &written))
				;
		}
		bench_send(bench, 100, 1, 0);
		assert_false(ring_packed_find_position(ring)); /* sent, not taken yet */
		assert_int_equal(bench_take(bench, 1), 1);
		rte_pktmbuf_free(bench->packets[0]);
	}
	bench_free(bench);
}

static void finds_the_position_of_a_packed_ring(void **state)
{
	bench_every_size(true, finds_position);
}

/* The guest gets one buffer back, and offers another. */
static void use_one(struct bench *bench)
{
	uint8_t *buffer;
	uint32_t written;

	assert_int_equal(bench_take(bench, 1), 1);
	rte_pktmbuf_free(bench->packets[0]);
	assert_true(driver_take_used(&bench->driver, &buffer, &written));
	assert_true(bench_send(bench, 100, 1, 0));
}

/*
 * Every position that a frontend may remember from an earlier stop, however far the ring has got
 * since, with few and with all descriptors offered.
 */
static void corrects_old_position(bool packed, uint16_t size)
{
	const unsigned offered[] = {1, 2, size / 2, size};

	for (unsigned i = 0; i < ARRAY_SIZE(offered); i++) {
		struct bench *bench = bench_new_of(packed, size);
		struct ring *ring = &bench->ring;
		while (bench->driver.n_free + offered[i] > size)
			assert_true(bench_send(bench, 100, 1, 0));

		for (unsigned used = 0; used < 5u * size; used++) {
			use_one(bench);
			const uint16_t next = ring->next;
			const bool wrap = ring->wrap;
			const uint16_t id = ring->packed_desc[next].id;
			/* As Linux does: the id that has come back last. */
			ring->packed_desc[next].id = ring->packed_desc[(next + size - 1) % size].id;
			for (unsigned old = 1; old < 2u * size; old++) {
				const unsigned right = next + (wrap ? 0 : size);
				if (old == right)
					continue;
				ring->next = old % size;
				ring->wrap = old < size;
				assert_true(ring_packed_find_position(ring));
				assert_int_equal(ring->next, next);
				assert_int_equal(ring->wrap, wrap);
			}
			ring->packed_desc[next].id = id;
			ring->next = next;
			ring->wrap = wrap;
		}
		bench_free(bench);
	}
}

static void corrects_an_old_position_of_a_packed_ring(void **state)
{
	bench_every_size(true, corrects_old_position);
}

/*
 * The backend was killed while it gave back a burst: the first buffer, which is marked last, is not
 * marked yet. The next backend, which begins there or at another place (`other`), goes on behind
 * the burst, and the driver gets all of its buffers, empty: those of a packet may not all be there.
 */
static void completes_a_torn_burst(
	struct bench *bench, unsigned packets, unsigned parts, bool other)
{
	struct ring *ring = &bench->ring;
	uint8_t *buffer;
	uint32_t written;

	bench_post(bench, 600, 1);
	const uint16_t first = ring->next;
	const uint16_t flags = ring->packed_desc[first].flags;
	for (unsigned i = 0; i < packets; i++)
		bench->packets[i] = bench_frame(bench, parts * 600 - 100, i);
	assert_int_equal(ring_give(ring, false, bench->packets, packets, &bench->account), packets);
	rte_pktmbuf_free_bulk(bench->packets, packets);
	const uint16_t next = ring->next;
	const bool wrap = ring->wrap;

	ring->packed_desc[first].flags = flags;
	if (other)
		ring->next = (next + 1) % ring->size;
	assert_int_equal(ring_packed_find_position(ring), other);
	assert_int_equal(ring->next, next);
	assert_int_equal(ring->wrap, wrap);
	for (unsigned i = 0; i < packets * parts; i++) {
		assert_true(driver_take_used(&bench->driver, &buffer, &written));
		assert_int_equal(written, 0);
	}
	assert_false(driver_take_used(&bench->driver, &buffer, &written));
}

static void goes_on_after_torn_burst(bool packed, uint16_t size)
{
	for (unsigned parts = 1; parts <= 3; parts++) {
		struct bench *bench = bench_new_of(packed, size);
		bench->ring.mergeable = true;
		for (unsigned packets = 2; packets < RING_BURST && packets * parts + 2 < size;
			packets++)
			for (unsigned i = 0; i < 2u * size; i++)
				completes_a_torn_burst(bench, packets, parts, i < size);
		bench_free(bench);
	}
}

static void goes_on_after_a_torn_burst(void **state)
{
	bench_every_size(true, goes_on_after_torn_burst);
}

/* The last buffer was a chain: the marks alone would have the ring go on inside it. */
static void believes_the_end_of_a_chain(void **state)
{
	struct bench *bench = bench_new(true);
	uint8_t *buffer;
	uint32_t written;

	for (unsigned sent = 0; sent < 3; sent++)
		assert_true(bench_send(bench, 100, 1, 0));
	assert_true(bench_send(bench, 100, 3, 0));
	assert_int_equal(bench_take(bench, 4), 4);
	rte_pktmbuf_free_bulk(bench->packets, 4);
	assert_false(ring_packed_find_position(&bench->ring));
	while (driver_take_used(&bench->driver, &buffer, &written))
		;
	assert_true(bench_send(bench, 100, 1, 0));
	assert_false(ring_packed_find_position(&bench->ring));
	bench_free(bench);
}

/* The descriptors of a chain cannot be told from ones that were never used. */
static void leaves_a_ring_of_chains_alone(void **state)
{
	struct bench *bench = bench_new(true);
	uint8_t *buffer;
	uint32_t written;

	for (unsigned sent = 0; sent < 3 * SIZE; sent++) {
		bench_send(bench, 100, 3, 0);
		assert_int_equal(bench_take(bench, 1), 1);
		rte_pktmbuf_free(bench->packets[0]);
		assert_true(driver_take_used(&bench->driver, &buffer, &written));
		assert_false(ring_packed_find_position(&bench->ring));
	}
	bench_free(bench);
}

/* Any position that a frontend may remember. */
static void forget_position(struct ring *ring, unsigned any)
{
	ring->next = any % ring->size;
	ring->wrap = any / ring->size % 2;
}

static void expect_position(struct bench *bench, uint16_t next, bool wrap)
{
	assert_int_equal(bench->ring.next, next);
	assert_int_equal(bench->ring.wrap, wrap);
	assert_false(ring_packed_find_position(&bench->ring));
}

/* The guest sends until its ring is full, or somewhat less. */
static void send_in_order(struct bench *bench, unsigned left_free, unsigned pieces)
{
	while (bench->driver.n_free >= left_free + pieces &&
		bench_send(bench, 100, pieces, bench->driver.next))
		;
}

static void take_back(struct bench *bench, unsigned n)
{
	const uint8_t *first = bench->driver.memory + AT_BUFFERS;
	uint8_t *buffer;
	uint32_t written;

	for (; n > 0; n--) {
		const uint16_t expected = bench->driver.used;
		assert_true(driver_take_used(&bench->driver, &buffer, &written));
		assert_ptr_equal(buffer, first + expected * BUFFER_BYTES);
	}
}

/*
 * Bursts of every length, of buffers that are chains or not, of which the driver has taken back
 * some and offered some again: what a backend finds that replaces one that died.
 */
static void finds_position_in_order(bool packed, uint16_t size)
{
	unsigned seed = 1;

	for (unsigned pieces = 1; pieces <= MIN(3, size); pieces++) {
		struct bench *bench = bench_new_of(packed, size);
		struct ring *ring = &bench->ring;
		bench->driver.in_order = ring->in_order = true;
		for (unsigned i = 0; i < 50u * size; i++) {
			send_in_order(bench, rand_r(&seed) % size, pieces);
			uint16_t n = bench_take(bench, 1 + rand_r(&seed) % RING_BURST);
			rte_pktmbuf_free_bulk(bench->packets, n);
			const uint16_t next = ring->next;
			const bool wrap = ring->wrap;
			forget_position(ring, rand_r(&seed));
			ring_packed_find_position(ring);
			expect_position(bench, next, wrap);
			unsigned some = n > 0 ? rand_r(&seed) % n : 0;
			take_back(bench, some);
			send_in_order(bench, 0, pieces);
			forget_position(ring, rand_r(&seed));
			ring_packed_find_position(ring);
			expect_position(bench, next, wrap);
			take_back(bench, n - some);
		}
		bench_free(bench);
	}
}

static void finds_the_position_of_a_ring_in_order(void **state)
{
	bench_every_size(true, finds_position_in_order);
}

/* The backend was killed between the marks of the last and of the first buffer of a burst. */
static void completes_burst_in_order(bool packed, uint16_t size)
{
	for (uint16_t n = 2; n <= MIN(size, RING_BURST); n++) {
		struct bench *bench = bench_new_of(packed, size);
		struct ring *ring = &bench->ring;
		bench->driver.in_order = ring->in_order = true;
		for (unsigned i = 0; i < 3u * size; i++) {
			send_in_order(bench, 0, 1);
			const uint16_t first = ring->next;
			const struct vring_packed_desc before = ring->packed_desc[first];
			assert_int_equal(bench_take(bench, n), n);
			rte_pktmbuf_free_bulk(bench->packets, n);
			const uint16_t next = ring->next;
			const bool wrap = ring->wrap;
			ring->packed_desc[first] = before;
			forget_position(ring, next + 1);
			assert_true(ring_packed_find_position(ring));
			expect_position(bench, next, wrap);
			take_back(bench, n);
		}
		bench_free(bench);
	}
}

static void completes_a_burst_in_order(void **state)
{
	bench_every_size(true, completes_burst_in_order);
}

/* Other backends mark the first buffer of a burst alone, and tell the position (in a migration). */
static void believes_other_backend(bool packed, uint16_t size)
{
	unsigned seed = 1;

	struct bench *bench = bench_new_of(packed, size);
	struct ring *ring = &bench->ring;
	bench->driver.in_order = ring->in_order = true;
	for (unsigned i = 0; i < 50u * size; i++) {
		struct vring_packed_desc before[RING_BURST];
		const uint16_t first = ring->next;
		send_in_order(bench, rand_r(&seed) % size, 1);
		for (uint16_t slot = 0; slot < MIN(size, RING_BURST); slot++)
			before[slot] = ring->packed_desc[(first + slot) % size];
		uint16_t n = bench_take(bench, 1 + rand_r(&seed) % RING_BURST);
		rte_pktmbuf_free_bulk(bench->packets, n);
		if (n > 1)
			ring->packed_desc[(first + n - 1) % size] = before[n - 1];
		assert_false(ring_packed_find_position(ring));
		take_back(bench, n);
		assert_false(ring_packed_find_position(ring));
	}
	bench_free(bench);
}

static void believes_another_backend(void **state)
{
	bench_every_size(true, believes_other_backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_position_of_a_packed_ring),
		cmocka_unit_test(corrects_an_old_position_of_a_packed_ring),
		cmocka_unit_test(goes_on_after_a_torn_burst),
		cmocka_unit_test(believes_the_end_of_a_chain),
		cmocka_unit_test(leaves_a_ring_of_chains_alone),
		cmocka_unit_test(finds_the_position_of_a_ring_in_order),
		cmocka_unit_test(completes_a_burst_in_order),
		cmocka_unit_test(believes_another_backend),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
