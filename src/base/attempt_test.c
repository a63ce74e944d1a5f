/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attempt.h"
#include "base/util.h"

static void attempts_become_rarer_but_never_cease(void **state)
{
	const unsigned due[] = {0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 160};
	unsigned n = 0;

	for (unsigned check = 0; check <= due[ARRAY_SIZE(due) - 1]; check++) {
		bool expected = check == due[n];

		assert_int_equal(attempt_is_due(check), expected);
		n += expected;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_become_rarer_but_never_cease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
