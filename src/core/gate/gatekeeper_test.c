/* SPDX-License-Identifier: BSD-3-Clause */

/* Blocked callers and memory that has vanished: the guest is shut out. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/gate/gate_fixture.h"
#include "core/gate/vhost_user.h"
#include "core/gate/vhost_user_fixture.h"
#include "core/ring/call_watch.h"

#define MEMORY_BYTES 65536

/* A frontend that was thrown out for harm is not let in again at once. */
static void assert_banished(struct bed *bed, int frontend, int library)
{
	expect_end(frontend);
	expect_end(library);
	frontend = vhost_user_connect(bed->path);
	expect_hang_up(frontend);
	struct pollfd p = {bed->library_fd, POLLIN, 0};
	assert_int_equal(poll(&p, 1, 0), 0);
	close(frontend);
}

static void wait_for_looks(struct bed *bed, unsigned n)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < PATIENCE_MS && atomic_load(&bed->n_looks) < n; i++)
		nanosleep(&pause, NULL);
	assert_true(atomic_load(&bed->n_looks) >= n);
}

/* Connects until it is let in, and hangs up. */
static void wait_to_be_let_in(struct bed *bed)
{
	struct pollfd p[2] = {{bed->library_fd, POLLIN, 0}};

	for (unsigned i = 0; p[0].revents == 0; i++, usleep(10000)) {
		assert_true(i < PATIENCE_MS / 10);
		p[1] = (struct pollfd){vhost_user_connect(bed->path), POLLIN, 0};
		assert_true(poll(p, ARRAY_SIZE(p), PATIENCE_MS) > 0);
		close(p[1].fd);
	}
	close(accept_at(bed->library_fd));
}

/* Even if there was a look just before it, which was one for nothing. */
static void call_after_a_rest_is_soon_looked_at(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	wait_for_looks(bed, 3); /* in the end it rests */
	unsigned before = atomic_load(&bed->n_looks);
	while (atomic_load(&bed->n_looks) == before)
		assert_served(frontend, library);
	const uint64_t began_ns = clock_monotonic_ns();
	before = atomic_load(&bed->n_looks);
	call_watch_note();
	wait_for_looks(bed, before + 1);
	assert_true(clock_monotonic_ns() - began_ns < 500000000);
	close(frontend);
	close(library);
}

/* For longer if it does so again. */
static void guest_that_blocks_its_callers_is_thrown_out(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	for (uint64_t ms = 1000; ms <= 2000; ms *= 2) {
		const uint64_t began_ns = clock_monotonic_ns();
		int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
		int other = vhost_user_connect(bed->path),
		    other_library = accept_at(bed->library_fd);
		atomic_store(&bed->next_look, GATE_CALL_BLOCKED);
		call_watch_note();
		assert_banished(bed, other, other_library);
		assert_banished(bed, frontend, library);
		wait_to_be_let_in(bed);
		assert_true(clock_monotonic_ns() - began_ns >= ms * 1000000);
	}
	assert_int_equal(gate_refusals(bed->gate), 2);
}

/*
 * A worker may still be waiting after the frontend has gone, until the library has let go of the
 * guest.
 */
static void calls_are_looked_at_after_the_end(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	close(frontend);
	expect_end(library);
	for (unsigned i = 0; i < 3; i++) { /* the guest is quicker each time */
		unsigned before = atomic_load(&bed->n_looks);
		atomic_store(&bed->next_look, GATE_CALL_BLOCKED);
		if (i == 0)
			call_watch_note();
		wait_for_looks(bed, before + 2);
	}
	expect_end(vhost_user_connect(bed->path)); /* it is shut out all the same */
	gate_hang_up(bed->gate);
	wait_for_looks(bed, atomic_load(&bed->n_looks) + 2);
}

/* The guest's memory is a file that it makes shorter, and a worker touches it. */
static void lose_memory(int frontend, int library)
{
	struct vhost_user_memory memory = {
		.n_regions = 1, .regions = {{0, MEMORY_BYTES, 1ULL << 32, 0}}};
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, MEMORY_BYTES), 0);
	vhost_user_send(frontend, VHOST_USER_SET_MEM_TABLE, 0, &memory,
		offsetof(struct vhost_user_memory, regions[1]), fd);
	int passed = expect_message(library, VHOST_USER_SET_MEM_TABLE, &memory,
		offsetof(struct vhost_user_memory, regions[1]));
	void *map = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, passed, 0);
	assert_ptr_not_equal(map, MAP_FAILED);

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(*(volatile char *)map, 0);
	munmap(map, MEMORY_BYTES);
	close(passed);
	close(fd);
}

static void guest_whose_memory_vanishes_is_thrown_out(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	int other = vhost_user_connect(bed->path), other_library = accept_at(bed->library_fd);
	lose_memory(frontend, library);
	assert_served(other, other_library);
	assert_banished(bed, frontend, library);
	assert_served(other, other_library);
	close(other);
	close(other_library);
}

/* A ban for something else does not hide that it has blocked its callers. */
static void blocker_whose_memory_vanishes_counts_as_one(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	for (uint64_t ms = 1000; ms <= 2000; ms *= 2) {
		int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
		lose_memory(frontend, library);
		expect_end(frontend);
		expect_end(library);
		const uint64_t began_ns = clock_monotonic_ns();
		unsigned before = atomic_load(&bed->n_looks);
		atomic_store(&bed->next_look, GATE_CALL_BLOCKED);
		call_watch_note();
		wait_for_looks(bed, before + 2);
		wait_to_be_let_in(bed);
		/* the gate counts whole milliseconds */
		assert_true(clock_monotonic_ns() - began_ns >= (ms - 1) * 1000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(call_after_a_rest_is_soon_looked_at),
		BED_TEST(guest_that_blocks_its_callers_is_thrown_out),
		BED_TEST(calls_are_looked_at_after_the_end),
		BED_TEST(guest_whose_memory_vanishes_is_thrown_out),
		BED_TEST(blocker_whose_memory_vanishes_counts_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
