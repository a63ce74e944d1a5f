/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "track.h"

struct fixture {
	struct track track;
	struct track_counts counts;
};

static void note(struct fixture *f, uint32_t epoch, uint64_t seq)
{
	track_note(&f->track, &f->counts, epoch, seq, true);
}

static void expect(const struct fixture *f, uint64_t received, uint64_t missing, uint64_t reordered,
	uint64_t duplicated)
{
	assert_int_equal(f->counts.received, received);
	assert_int_equal(f->counts.missing, missing);
	assert_int_equal(f->counts.reordered, reordered);
	assert_int_equal(f->counts.duplicated, duplicated);
}

static void in_order(void **state)
{
	struct fixture f = {0};

	for (uint64_t seq = 0; seq < 3 * TRACK_WINDOW; seq++)
		note(&f, 1, seq);
	expect(&f, 3 * TRACK_WINDOW, 0, 0, 0);
}

static void a_gap_is_missing_until_filled(void **state)
{
	struct fixture f = {0};

	note(&f, 1, 0);
	note(&f, 1, 3);
	expect(&f, 2, 2, 0, 0);
	note(&f, 1, 1);
	expect(&f, 3, 1, 1, 0);
	note(&f, 1, 4);
	expect(&f, 4, 1, 1, 0);
}

static void second_copies_are_duplicates(void **state)
{
	struct fixture f = {0};

	note(&f, 1, 0);
	note(&f, 1, 0);
	note(&f, 1, 2);
	note(&f, 1, 1);
	note(&f, 1, 1);
	expect(&f, 3, 0, 1, 2);
}

static void the_window_forgets_what_it_passed(void **state)
{
	struct fixture f = {0};

	note(&f, 1, 5);
	note(&f, 1, 5 + 2 * TRACK_WINDOW - 1); /* jumps over the whole window */
	note(&f, 1, 5 + TRACK_WINDOW);         /* was never seen, although its bit was once set */
	expect(&f, 3, 2 * TRACK_WINDOW - 3, 1, 0);
}

static void who_joins_late_misses_nothing(void **state)
{
	struct fixture f = {0};

	note(&f, 1, 1000);
	note(&f, 1, 1001);
	expect(&f, 2, 0, 0, 0);
}

static void who_was_there_first_misses_the_start(void **state)
{
	struct fixture f = {0};

	track_note(&f.track, &f.counts, 1, 3, false);
	expect(&f, 1, 3, 0, 0);
	track_note(&f.track, &f.counts, 1, 0, false);
	expect(&f, 2, 2, 1, 0);
}

static void a_new_epoch_starts_anew(void **state)
{
	struct fixture f = {0};

	note(&f, 1, 500);
	note(&f, 2, 0);
	note(&f, 2, 1);
	expect(&f, 3, 0, 0, 0);
	note(&f, 1, 501);
	expect(&f, 4, 0, 1, 0);
}

static void epochs_wrap(void **state)
{
	struct fixture f = {0};

	note(&f, UINT32_MAX, 500);
	note(&f, 3, 0);
	expect(&f, 2, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(a_gap_is_missing_until_filled),
		cmocka_unit_test(second_copies_are_duplicates),
		cmocka_unit_test(the_window_forgets_what_it_passed),
		cmocka_unit_test(who_joins_late_misses_nothing),
		cmocka_unit_test(who_was_there_first_misses_the_start),
		cmocka_unit_test(a_new_epoch_starts_anew),
		cmocka_unit_test(epochs_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
