/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/number.h"
#include "base/util.h"

static void numbers(void **state)
{
	unsigned number;

	assert_int_equal(number_parse("0", 0, &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(number_parse("0063", 63, &number), 0);
	assert_int_equal(number, 63);
	assert_int_equal(number_parse("4294967295", UINT32_MAX, &number), 0);
	assert_int_equal(number, UINT32_MAX);
}

static void anything_else(void **state)
{
	const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "x", "64",
		"4294967297", "18446744073709551617"};
	unsigned number = 5;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(number_parse(bad[i], 63, &number), -EINVAL);
	assert_int_equal(number_parse("4294967296", UINT32_MAX, &number), -EINVAL);
	assert_int_equal(number_parse("18446744073709551617", UINT32_MAX, &number), -EINVAL);
	assert_int_equal(number, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
