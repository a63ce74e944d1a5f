/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/stores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RING 256
#define MANY_BUFFERS 4096 /* of several rings: more than are measured at least */
#define BURST 32
#define BYTES (BURST * packet_bytes)
#define LONG 1500
#define MIXED 353    /* mean of 7 packets of 64 bytes, 4 of 570 and one of 1514 */
#define MANY 1200000 /* bursts: more than a result is held for */

/* Cycles per byte, through the cache and past it. */
struct costs {
	double own[2];   /* of the writer */
	double guest[2]; /* and of the guest, beyond the writer's */
};

static uint64_t now;
static unsigned packet_bytes = LONG;

/*
 * Writes bursts. Returns the cycles per byte; `ret_past` is the share of bursts written past the
 * cache.
 */
static double write_bursts(
	struct stores *stores, const struct costs *costs, unsigned n, double *ret_past)
{
	const uint64_t start = now;
	unsigned past = 0;

	for (unsigned i = 0; i < n; i++) {
		const bool timed = stores_measure(stores), way = stores->past_cache;
		const uint64_t begin = now;
		past += way;
		now += (uint64_t)(BYTES * costs->own[way]);
		stores_note(stores, RING, BURST, BYTES, costs->guest[way] > 0, timed ? begin : 0,
			timed ? now : 0);
		now += (uint64_t)(BYTES * costs->guest[way]);
	}
	*ret_past = (double)past / n;
	return (double)(now - start) / ((double)n * BYTES);
}

static void find_the_better_way(void)
{
	const struct costs far = {.own = {1.0, 0.5}}, near = {.own = {0.15, 0.6}};
	struct stores stores;
	double past;

	stores_init(&stores, RING);
	for (unsigned i = 0; i < 3; i++) {
		write_bursts(&stores, &far, MANY, &past); /* a result is held for a while */
		write_bursts(&stores, &far, MANY, &past);
		assert_true(past > 0.9);
		write_bursts(&stores, &near, MANY, &past);
		write_bursts(&stores, &near, MANY, &past);
		assert_true(past < 0.1);
	}
}

/* The better way is found, and found again when that changes. */
static void finds_the_better_way(void **state)
{
	find_the_better_way();
	packet_bytes = MIXED;
	find_the_better_way();
}

static int make_packets_long(void **state)
{
	packet_bytes = LONG;
	return 0;
}

/* Trials cost next to nothing, whether the other way is much worse or nearly as good. */
static void costs_little(void **state)
{
	const struct costs all[] = {{.own = {0.15, 0.6}}, {.own = {0.5, 0.5}}, {.own = {0.9, 0.7}},
		{.own = {0.1, 0.7}}, {.own = {0.7, 0.1}}};
	struct stores stores;
	double past;

	for (unsigned i = 0; i < RTE_DIM(all); i++) {
		stores_init(&stores, RING);
		double best = RTE_MIN(all[i].own[0], all[i].own[1]);
		assert_true(write_bursts(&stores, &all[i], MANY, &past) < best * 1.05);
	}
}

/* The share of many bursts to a fresh ring that is written past the cache. */
static double part_past(const struct costs *costs)
{
	struct stores stores;
	double past;

	stores_init(&stores, RING);
	write_bursts(&stores, costs, MANY, &past);
	return past;
}

/* A gain that may be noise is no reason for a change. */
static void stays_where_there_is_little_to_gain(void **state)
{
	const struct costs costs = {.own = {0.5, 0.47}};

	assert_true(part_past(&costs) < 0.1);
}

/* If the guest is the slower side, its time counts: what only saves our time is of no use. */
static void counts_what_the_guest_takes(void **state)
{
	const struct costs costs = {.own = {0.4, 0.3}, .guest = {0.1, 0.5}};

	assert_true(part_past(&costs) < 0.1);
}

/* A long interruption of the worker says nothing about the way in use at the time. */
static void is_not_misled_by_an_interruption(void **state)
{
	const struct costs costs = {.own = {0.5, 0.5}};
	struct stores stores;
	double past;

	stores_init(&stores, RING);
	while (stores.phase != STORES_MEASURE)
		write_bursts(&stores, &costs, 1, &past);
	stores_note(&stores, RING, BURST, BYTES, false, now, now + UINT64_C(1000000000));
	while (stores.phase != STORES_HOLD)
		write_bursts(&stores, &costs, 1, &past);
	assert_true(stores.cost[false] < 0.5 * 1.15);
}

/* The first lap through the cache after others past it is slow: the lines come from memory. */
static void is_not_misled_by_the_first_lap(void **state)
{
	static bool was_past[MANY_BUFFERS / BURST]; /* the last time */
	struct stores stores;
	unsigned n_past = 0;

	stores_init(&stores, MANY_BUFFERS);
	stores.past_cache = true;
	for (unsigned i = 0; i < MANY; i++) {
		bool *was = &was_past[i % RTE_DIM(was_past)];
		const double cost = stores.past_cache ? 0.6 : *was ? 2.0 : 0.3;
		*was = stores.past_cache;
		n_past += stores.past_cache;
		const uint64_t begin = now;
		now += (uint64_t)(BYTES * cost);
		stores_note(&stores, MANY_BUFFERS, BURST, BYTES, false, begin, now);
	}
	assert_true(n_past < MANY / 10);
}

/* Nothing is measured while the buffers of the rings are written for the first few times. */
static void waits_until_all_is_in_use(void **state)
{
	static const uint16_t sizes[] = {256, 4096};
	struct stores stores;

	for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
		stores_init(&stores, sizes[i]);
		for (unsigned n = 1; n < 4u * RTE_MAX(sizes[i], STORES_PHASE); n++) {
			stores_note(&stores, sizes[i], 1, 1500, false, 0, 0);
			assert_int_equal(stores.phase, STORES_HOLD);
		}
		stores_note(&stores, sizes[i], 1, 1500, false, 0, 0);
		assert_int_equal(stores.phase, STORES_MEASURE);
	}
}

/*
 * The time for which short packets have waited is not counted for a long one; nor are short ones.
 */
static void forgets_the_wait_of_others(void **state)
{
	struct stores stores;

	stores_init(&stores, RING);
	while (stores.phase != STORES_MEASURE)
		stores_note(&stores, RING, BURST, BYTES, false, 0, 0);
	const uint32_t left = stores.left;
	stores_note(&stores, RING, 1, 1500, true, 1000, 2000);
	stores_note(&stores, RING, 1, 64, false, 3000, 4000);
	stores_note(&stores, RING, 1, 1500, false, 5000, 6000);
	assert_int_equal(stores.cycles, 2000);
	stores_note(&stores, RING, 1, 1500, true, 7000, 8000);
	stores_note(&stores, RING, 0, 0, true, 8500, 8600);
	stores_note(&stores, RING, 1, 1500, false, 9000, 10000);
	assert_int_equal(stores.cycles, 2000 + 1000 + 2000);
	assert_int_equal(stores.left, left - 4);
}

/* Exactly the given bytes are written, at every alignment. */
static void writes_all_of_it(void **state)
{
	static const uint32_t lengths[] = {
		0, 1, 12, 60, 511, 512, 513, 575, 576, 639, 640, 700, 1500};
	static uint8_t from[2048], to[2048], expected[2048];
	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + i / 251);
	for (unsigned past = 0; past < 2; past++)
		for (unsigned at = 0; at < 2 * RTE_CACHE_LINE_SIZE; at++)
			for (unsigned i = 0; i < RTE_DIM(lengths); i++) {
				memset(to, 0xee, sizeof(to));
				memset(expected, 0xee, sizeof(expected));
				memcpy(expected + at, from + at / 2, lengths[i]);
				stores_write(past, to + at, from + at / 2, lengths[i]);
				stores_finish(past);
				assert_memory_equal(to, expected, sizeof(to));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(finds_the_better_way, make_packets_long),
		cmocka_unit_test(costs_little),
		cmocka_unit_test(stays_where_there_is_little_to_gain),
		cmocka_unit_test(counts_what_the_guest_takes),
		cmocka_unit_test(is_not_misled_by_an_interruption),
		cmocka_unit_test(is_not_misled_by_the_first_lap),
		cmocka_unit_test(waits_until_all_is_in_use),
		cmocka_unit_test(forgets_the_wait_of_others),
		cmocka_unit_test(writes_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
