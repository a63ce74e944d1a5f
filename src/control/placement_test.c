/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "control/placement.h"

/* Two nodes with two workers each. */
static void expect_beside(const unsigned n_newcomers[4], const double busy[4],
	const unsigned n_lanes[4], int node, unsigned worker)
{
	struct placement_worker workers[4];

	for (unsigned i = 0; i < 4; i++)
		workers[i] = (struct placement_worker){
			.numa_node = i / 2,
			.busy = busy[i],
			.n_newcomers = n_newcomers[i],
			.n_lanes = n_lanes[i],
		};
	assert_int_equal(placement_least_loaded(workers, 4, node), worker);
}

static void expect(const double busy[4], const unsigned n_lanes[4], int node, unsigned worker)
{
	expect_beside((unsigned[4]){0}, busy, n_lanes, node, worker);
}

static const unsigned few[4] = {1, 1, 1, 1};

static void load_counts_not_number(void **state)
{
	expect((double[]){0.9, 0.8, 0.5, 0.7}, (unsigned[]){1, 1, 64, 1}, -1, 2);
}

static void number_counts_where_load_is_the_same(void **state)
{
	expect((double[]){0, 0.01, 0, 0}, (unsigned[]){3, 2, 3, 3}, -1, 1);
}

static void first_of_equals(void **state)
{
	expect((double[]){0.3, 0.3, 0.3, 0.3}, few, -1, 0);
}

static void node_comes_before_load(void **state)
{
	expect((double[]){0.1, 0.1, 0.8, 0.7}, few, 1, 3);
	expect((double[]){0.8, 0.7, 0.1, 0.1}, few, 0, 1);
}

static void saturated_node_is_left(void **state)
{
	expect((double[]){0.5, 0.4, 0.95, 1.0}, few, 1, 1);
	expect((double[]){0.97, 0.96, 0.99, 1.0}, few, 1, 2);
}

/* Newcomers may have next to nothing to do: they make no worker look fuller than a saturated one.
 */
static void saturated_worker_comes_last(void **state)
{
	expect_beside((unsigned[]){0, 6, 0, 0}, (double[]){0.96, 0.45, 0.1, 0.1}, few, 0, 1);
	expect_beside((unsigned[]){0, 6, 0, 6}, (double[]){0.96, 0.45, 0.96, 0.45}, few, -1, 1);
}

static void newcomers_count_as_load(void **state)
{
	expect_beside((unsigned[]){2, 1, 0, 0}, (double[]){0.2, 0.2, 0.5, 0.5}, few, 0, 1);
	expect_beside((unsigned[]){0, 3, 0, 0}, (double[]){0.4, 0.2, 0.5, 0.5}, few, 0, 0);
}

/* They may have next to nothing to do. */
static void newcomers_do_not_saturate_a_node(void **state)
{
	expect_beside((unsigned[]){11, 10, 5, 5}, (double[4]){0}, few, 0, 1);
	expect_beside((unsigned[]){10, 10, 5, 5}, (double[]){0.97, 0.97, 0, 0}, few, 0, 2);
}

static void node_without_a_worker_counts_as_any(void **state)
{
	expect((double[]){0.5, 0.4, 0.2, 1.0}, few, 7, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_counts_not_number),
		cmocka_unit_test(number_counts_where_load_is_the_same),
		cmocka_unit_test(first_of_equals),
		cmocka_unit_test(node_comes_before_load),
		cmocka_unit_test(saturated_node_is_left),
		cmocka_unit_test(saturated_worker_comes_last),
		cmocka_unit_test(newcomers_count_as_load),
		cmocka_unit_test(newcomers_do_not_saturate_a_node),
		cmocka_unit_test(node_without_a_worker_counts_as_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
