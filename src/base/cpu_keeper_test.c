/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cpu_keeper.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#define NO_CPU (CPU_SETSIZE - 1) /* the kernel refuses it */

static unsigned logged[LOG_DEBUG + 1]; /* lines by severity */

void __wrap_log_at(int severity, const char *fmt, ...);

void __wrap_log_at(int severity, const char *fmt, ...)
{
	logged[severity]++;
}

static void expect_logged(unsigned errors, unsigned warnings, unsigned notices)
{
	assert_int_equal(logged[LOG_ERR], errors);
	assert_int_equal(logged[LOG_WARNING], warnings);
	assert_int_equal(logged[LOG_NOTICE], notices);
}

static bool is_on(unsigned cpu)
{
	cpu_set_t cpus;

	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	return CPU_COUNT(&cpus) == 1 && CPU_ISSET(cpu, &cpus);
}

/* What a thread may use at the start of the test, and the CPU of the keeper. */
struct bed {
	cpu_set_t all;
	struct cpu_keeper keeper;
};

static int make_bed(void **state)
{
	static struct bed bed;

	bed = (struct bed){.keeper = {.who = "the thread", .cpu = (unsigned)sched_getcpu()}};
	for (int severity = 0; severity <= LOG_DEBUG; severity++)
		logged[severity] = 0;
	*state = &bed;
	return sched_getaffinity(0, sizeof(bed.all), &bed.all);
}

static int remove_bed(void **state)
{
	struct bed *bed = *state;

	return sched_setaffinity(0, sizeof(bed->all), &bed->all);
}

static void take_off(const struct bed *bed)
{
	assert_int_equal(sched_setaffinity(0, sizeof(bed->all), &bed->all), 0);
	assert_false(is_on(bed->keeper.cpu));
}

static void a_thread_is_put_back(void **state)
{
	struct bed *bed = *state;

	if (CPU_COUNT(&bed->all) == 1) {
		print_message("there is only one CPU\n");
		skip();
	}
	cpu_keeper_check(&bed->keeper, 0);
	expect_logged(0, 1, 0);
	assert_true(is_on(bed->keeper.cpu));
	for (unsigned i = 1; i < CPU_KEEPER_QUIET; i++) {
		take_off(bed);
		cpu_keeper_check(&bed->keeper, 0);
		assert_true(is_on(bed->keeper.cpu));
	}
	expect_logged(0, 1, 0);
	cpu_keeper_check(&bed->keeper, 0);
	expect_logged(0, 1, 0);
	take_off(bed);
	cpu_keeper_check(&bed->keeper, 0);
	expect_logged(0, 2, 0);
}

static void a_cpu_that_is_not_available_is_tried_again(void **state)
{
	struct bed *bed = *state;
	const unsigned cpu = bed->keeper.cpu;

	for (unsigned turn = 1; turn <= 2; turn++) {
		bed->keeper.cpu = NO_CPU;
		for (unsigned i = 0; i < 3; i++)
			cpu_keeper_check(&bed->keeper, 0);
		expect_logged(turn, 0, turn - 1);
		bed->keeper.cpu = cpu;
		for (unsigned i = 0; i < 3; i++)
			cpu_keeper_check(&bed->keeper, 0);
		expect_logged(turn, 0, turn);
		assert_true(is_on(cpu));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_thread_is_put_back, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			a_cpu_that_is_not_available_is_tried_again, make_bed, remove_bed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
