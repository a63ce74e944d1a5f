/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/numa.h"
#include "base/util.h"

static void nodes_are_chosen(void **state)
{
	const struct {
		uint32_t nodes;
		int wanted, chosen;
	} cases[] = {
		{0, 0, 0},
		{0, 5, 5},
		{0, -1, -1},
		{0, 32, 32}, /* empty set: as wanted */
		{1 << 1, 1, 1},
		{1 << 1, 0, 1}, /* only one node */
		{1 << 0 | 1 << 2, 2, 2},
		{1 << 0 | 1 << 2, 1, 0},
		{1 << 2 | 1 << 3, 0, 2},
		{1 << 1, -1, 1}, /* the device's node is unknown */
		{1 << 3, 32, 3},
		{1 << 3, 99, 3}, /* a node that DPDK does not know */
		{UINT32_C(1) << 31, 31, 31},
		{UINT32_C(1) << 31, 0, 31},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			numa_set_choose((struct numa_set){cases[i].nodes}, cases[i].wanted),
			cases[i].chosen);
}

static void nodes_are_added_as_dpdk_counts_them(void **state)
{
	struct numa_set set = {0};
	char text[16];

	numa_set_add(&set, 31);
	numa_set_add(&set, 1);
	assert_int_equal(set.nodes, UINT32_C(1) << 31 | 1 << 1);
	numa_set_add(&set, 32);
	assert_int_equal(set.nodes, UINT32_C(1) << 31 | 1 << 1 | 1 << 0);
	numa_set_format(set, text, sizeof(text));
	assert_string_equal(text, "0-1,31");
	set = (struct numa_set){0};
	numa_set_add(&set, -1);
	assert_int_equal(set.nodes, 1 << 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_chosen),
		cmocka_unit_test(nodes_are_added_as_dpdk_counts_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
