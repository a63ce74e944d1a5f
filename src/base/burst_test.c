/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/burst.h"

static void each_burst_is_counted_once_in_the_first_bucket_that_holds_it(void **state)
{
	for (unsigned long n = 1; n <= 32ul << BURST_BUCKETS; n++) {
		unsigned bucket = burst_bucket(n);

		assert_in_range(bucket, 0, BURST_BUCKETS - 1);
		if (bucket < BURST_BUCKETS - 1)
			assert_true(n <= burst_bucket_limit(bucket));
		if (bucket > 0)
			assert_true(n > burst_bucket_limit(bucket - 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_burst_is_counted_once_in_the_first_bucket_that_holds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
