/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/ring/call_watch.h"

static int open_watch(void **state)
{
	static int fd;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	call_watch_open(fd);
	*state = &fd;
	return fd < 0;
}

static int close_watch(void **state)
{
	call_watch_open(-1);
	return close(*(int *)*state);
}

/* How often the watcher was woken since the last call. */
static unsigned wakes(void **state)
{
	eventfd_t count = 0;

	eventfd_read(*(int *)*state, &count);
	return (unsigned)count;
}

static void looks_on_while_calls_are_made(void **state)
{
	for (int i = 0; i < 3; i++) {
		call_watch_note();
		assert_true(call_watch_look());
	}
	assert_int_equal(wakes(state), 0);
}

static void rests_after_a_look_without_calls(void **state)
{
	call_watch_note();
	assert_true(call_watch_look());
	assert_false(call_watch_look());
	assert_false(call_watch_look());
	assert_int_equal(wakes(state), 0);
}

static void first_call_ends_the_rest(void **state)
{
	while (call_watch_look())
		;
	call_watch_note();
	call_watch_note();
	assert_int_equal(wakes(state), 1);
	assert_true(call_watch_look());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			looks_on_while_calls_are_made, open_watch, close_watch),
		cmocka_unit_test_setup_teardown(
			rests_after_a_look_without_calls, open_watch, close_watch),
		cmocka_unit_test_setup_teardown(first_call_ends_the_rest, open_watch, close_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
