/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/descriptor_reserve.h"

/* Each time that there is no descriptor left, not only the first time. */
static void who_must_not_fail_gets_the_reserve(void **state)
{
	struct rlimit limit, none;

	assert_int_equal(descriptor_reserve_init(), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned i = 0; i < 3; i++) {
		int highest = dup(STDERR_FILENO);
		none = (struct rlimit){highest + 1, limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		assert_true(descriptor_reserve_is_last());
		int fd = epoll_create(1);
		assert_true(fd >= 0);
		assert_int_equal(epoll_create(1), -1);
		assert_int_equal(errno, EMFILE);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		close(fd);
		close(highest);
		assert_false(descriptor_reserve_is_last());
		close(epoll_create(1)); /* opens a new reserve */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_must_not_fail_gets_the_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
