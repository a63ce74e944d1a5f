/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/lane/awake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define US UINT64_C(2400)
#define MS (1000 * US)
#define LATENCY_US 1000

/* How long a lane stays awake after its last packet, in us. */
static uint64_t stays_awake_us(const struct awake *awake, bool busy)
{
	uint64_t us = 0;

	while (!awake_is_over(awake, awake->moved_at + us * US, busy, US))
		us++;
	return us;
}

static void dozes_off(void **state)
{
	struct awake awake;

	awake_begin(&awake, 7 * MS);
	assert_int_equal(awake.moved_at, 7 * MS);
	assert_int_equal(stays_awake_us(&awake, false), 100);
	assert_int_equal(stays_awake_us(&awake, true), 2000);
}

/*
 * Patience is an eighth of the work, at most 20 ms. A lane never stays awake for less than without
 * any work.
 */
static void work_earns_patience(void **state)
{
	struct awake awake;

	awake_begin(&awake, 0);
	awake_moved(&awake, 0, 400 * US, US);
	assert_int_equal(stays_awake_us(&awake, false), 100);
	awake_moved(&awake, 400 * US, 8 * MS, US);
	assert_int_equal(stays_awake_us(&awake, false), 1000);
	assert_int_equal(stays_awake_us(&awake, true), 2000);
	awake_moved(&awake, 8 * MS, 1000 * MS, US);
	assert_int_equal(stays_awake_us(&awake, false), 20000);
	assert_int_equal(stays_awake_us(&awake, true), 20000);
	awake_begin(&awake, 1000 * MS);
	assert_int_equal(stays_awake_us(&awake, false), 100);
}

/* As much with a TSC of 25 MHz, which counts 7 during a burst. */
static void short_bursts_earn_patience(void **state)
{
	const uint64_t us = 25, burst = 7;
	uint64_t now = 0;
	struct awake awake;

	awake_begin(&awake, 0);
	for (; now < 80 * 1000 * us; now += burst)
		awake_moved(&awake, now, now + burst, us);
	assert_false(awake_is_over(&awake, now + 9900 * us, false, us));
	assert_true(awake_is_over(&awake, now + 10100 * us, false, us));
}

/*
 * A silence of more than DOZE_US uses up patience. So packets that are further apart, each coming
 * just before the lane would doze, cannot keep a CPU busy for ever.
 */
static void silence_uses_it_up(void **state)
{
	struct awake awake;
	uint64_t now = 1000 * MS, in_vain = 5 * MS;
	unsigned packets = 0;

	awake_begin(&awake, 0);
	awake_moved(&awake, 0, now, US);
	now += in_vain;
	awake_moved(&awake, now, now, US);
	assert_int_equal(stays_awake_us(&awake, false), 15000);
	for (; stays_awake_us(&awake, false) > 100; packets++) {
		uint64_t gap = (stays_awake_us(&awake, false) - 1) * US;
		in_vain += gap;
		awake_moved(&awake, now + gap, now + gap + US, US);
		now += gap + US;
		assert_true(packets < 100);
	}
	assert_true(in_vain <= DOZE_MAX_US * US);
	/* Short silences, of which work is full, do not use it up. */
	awake_begin(&awake, now);
	awake_moved(&awake, now, now + 80 * MS, US);
	now += 80 * MS;
	for (unsigned i = 0; i < 1000; i++, now += 100 * US)
		awake_moved(&awake, now + 90 * US, now + 100 * US, US);
	assert_true(stays_awake_us(&awake, false) >= 10000);
}

/* The rest until the next poll, after a silence of `silent_us`. */
static uint64_t rest_us(const struct awake *awake, unsigned silent_us, unsigned latency_us)
{
	const uint64_t now = awake->moved_at + silent_us * US;

	return (awake_due_silent(awake, now, US, latency_us) - now) / US;
}

static void rests_in_silence(void **state)
{
	struct awake awake;

	awake_begin(&awake, 0);
	awake_moved(&awake, 0, 2 * MS, US); /* patience for 250 us */
	assert_int_equal(rest_us(&awake, 100, LATENCY_US), 0);
	assert_int_equal(rest_us(&awake, 101, LATENCY_US), PACE_US);
	assert_int_equal(rest_us(&awake, 250, LATENCY_US), PACE_US);
	assert_int_equal(rest_us(&awake, 320, LATENCY_US), 40);
	assert_int_equal(rest_us(&awake, 1900, LATENCY_US), LOOK_US);
	assert_int_equal(rest_us(&awake, 1900, 10), 10);
}

#define FEW (MANY_MOVED - 1)

/*
 * One and a half times as long as the worker has worked, including this poll; at most PACE_US from
 * its start.
 */
static void rests_after_work(void **state)
{
	const uint64_t begin = 7 * MS, end = begin + US / 2;

	assert_int_equal(awake_due(begin, end, US / 2, FEW, US, LATENCY_US), begin + 5 * US / 4);
	assert_int_equal(
		awake_due(begin, end, US * 3 / 4, FEW, US, LATENCY_US), begin + 13 * US / 8);
	assert_int_equal(awake_due(begin, end, MS, FEW, US, LATENCY_US), begin + PACE_US * US);
	assert_int_equal(awake_due(begin, end, MS, FEW, US, 1), begin + US);
	assert_int_equal(awake_due(begin, end, US / 2, MANY_MOVED, US, LATENCY_US), end);
	assert_true(
		awake_due(begin, begin + 3 * US, 3 * US, FEW, US, LATENCY_US) <= begin + 3 * US);
}

/* With a latency of 0 nothing waits. */
static void never_rests(void **state)
{
	struct awake awake;

	awake_begin(&awake, 0);
	awake_moved(&awake, 0, 2 * MS, US);
	for (unsigned silent_us = 0; silent_us < 3000; silent_us += 50)
		assert_int_equal(rest_us(&awake, silent_us, 0), 0);
	for (unsigned n = 1; n <= MANY_MOVED; n++)
		assert_true(awake_due(MS, MS + US, US, n, US, 0) <= MS + US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dozes_off),
		cmocka_unit_test(work_earns_patience),
		cmocka_unit_test(short_bursts_earn_patience),
		cmocka_unit_test(silence_uses_it_up),
		cmocka_unit_test(rests_in_silence),
		cmocka_unit_test(rests_after_work),
		cmocka_unit_test(never_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
