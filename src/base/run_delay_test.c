/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/run_delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define RIVALS 2
#define RUN_NS 20000000 /* several turns of the scheduler */

static atomic_bool stop;

static void *spin(void *argument)
{
	while (!atomic_load(&stop))
		;
	return NULL;
}

static uint64_t ran_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Three threads on one CPU: each waits for twice as long as it runs, or longer. */
static void a_thread_with_rivals_waits(void **state)
{
	const unsigned cpu = (unsigned)sched_getcpu();
	pthread_t rivals[RIVALS];
	cpu_set_t all, one;
	uint64_t before, waited;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	for (unsigned i = 0; i < RIVALS; i++)
		assert_int_equal(pthread_create(&rivals[i], NULL, spin, NULL), 0);
	const uint64_t begin_ns = ran_ns();
	assert_int_equal(run_delay_ns(gettid(), &before), 0);
	while (ran_ns() - begin_ns < RUN_NS)
		;
	assert_int_equal(run_delay_ns(gettid(), &waited), 0);
	assert_true(waited - before > ran_ns() - begin_ns);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < RIVALS; i++)
		pthread_join(rivals[i], NULL);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void of_no_thread_nothing_is_known(void **state)
{
	uint64_t waited = 7;

	assert_int_equal(run_delay_ns(0, &waited), -ENOENT);
	assert_int_equal(waited, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_with_rivals_waits),
		cmocka_unit_test(of_no_thread_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
