/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_calls.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/util.h"

struct bed {
	struct guest guest;
	int call; /* the eventfd by which two rings of two sessions call the guest */
};

static int set_up(void **state)
{
	struct bed *bed = calloc_aligned(alignof(struct bed), sizeof(*bed));

	pthread_mutex_init(&bed->guest.calls_mutex, NULL);
	bed->call = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		for (unsigned ring = 0; ring < RINGS_MAX; ring++)
			bed->guest.connections[i].rings[ring].call_fd = -1;
	bed->guest.connections[0].rings[1].call_fd = bed->call;
	bed->guest.connections[3].rings[RINGS_MAX - 1].call_fd = bed->call;
	*state = bed;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *bed = *state;

	close(bed->call);
	pthread_mutex_destroy(&bed->guest.calls_mutex);
	free(bed);
	return 0;
}

static void fill_up(struct bed *bed)
{
	assert_int_equal(eventfd_write(bed->call, UINT64_MAX - 1), 0);
}

static void watched_from_the_beginning_to_the_end(void **state)
{
	struct bed *bed = *state;
	struct guest *guest = &bed->guest;

	assert_int_equal(guest_calls_relieve(guest), GATE_NO_CALLS);
	guest_calls_watch(guest, &guest->connections[0], 1);
	guest_calls_watch(guest, &guest->connections[3], RINGS_MAX - 1);
	assert_int_equal(guest_calls_relieve(guest), GATE_CALLS);
	for (unsigned i = 0; i < 3; i++) {
		fill_up(bed);
		assert_int_equal(guest_calls_relieve(guest), GATE_CALL_BLOCKED);
		assert_int_equal(guest_calls_relieve(guest), GATE_CALLS);
	}
	guest_calls_end(guest, &guest->connections[0]);
	fill_up(bed);
	assert_int_equal(guest_calls_relieve(guest), GATE_CALL_BLOCKED);
	guest_calls_end(guest, &guest->connections[3]);
	assert_int_equal(guest_calls_relieve(guest), GATE_NO_CALLS);
}

/* A guest may have no eventfd: it polls. */
static void rings_without_an_eventfd(void **state)
{
	struct bed *bed = *state;

	guest_calls_watch(&bed->guest, &bed->guest.connections[1], 0);
	assert_int_equal(guest_calls_relieve(&bed->guest), GATE_NO_CALLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			watched_from_the_beginning_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rings_without_an_eventfd, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
