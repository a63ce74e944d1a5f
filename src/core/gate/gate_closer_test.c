/* SPDX-License-Identifier: BSD-3-Clause */

/* close() waits for as long as the test likes, as that of a file on FUSE may. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/gate/gate_closer.h"

#define PATIENCE_MS 5000

static _Atomic int held_fd; /* close() of it waits; -1: none. The wrapped functions know no bed. */
static _Atomic unsigned n_waiting, n_threads;
static _Atomic bool no_threads;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	atomic_fetch_add(&n_waiting, fd == atomic_load(&held_fd));
	while (fd == atomic_load(&held_fd))
		usleep(1000);
	return __real_close(fd);
}

int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument);

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument)
{
	if (atomic_load(&no_threads))
		return EAGAIN;
	atomic_fetch_add(&n_threads, 1);
	return __real_pthread_create(ret_thread, attributes, run, argument);
}

static int set_up(void **state)
{
	atomic_store(&held_fd, -1);
	atomic_store(&n_waiting, 0);
	atomic_store(&n_threads, 0);
	atomic_store(&no_threads, false);
	*state = gate_closer_new();
	return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	gate_closer_free(*state);
	return 0;
}

static int a_file(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void wait_for_end(struct gate_closer *closer)
{
	for (unsigned i = 0; i < PATIENCE_MS && gate_closer_is_busy(closer); i++)
		usleep(1000);
	assert_false(gate_closer_is_busy(closer));
}

/* Has the closer's thread wait for a descriptor. */
static int hold(struct gate_closer *closer)
{
	int fd = a_file();

	atomic_store(&held_fd, fd);
	gate_closer_close(closer, fd);
	for (unsigned i = 0; i < PATIENCE_MS && atomic_load(&n_waiting) == 0; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&n_waiting), 1);
	return fd;
}

static void one_thread_waits_for_all(void **state)
{
	struct gate_closer *closer = *state;
	int held = hold(closer), others[GATE_CLOSER_MAX];

	for (unsigned i = 0; i < GATE_CLOSER_MAX; i++)
		gate_closer_close(closer, others[i] = a_file());
	assert_true(gate_closer_is_busy(closer));
	assert_int_equal(atomic_load(&n_threads), 1);
	atomic_store(&held_fd, -1);
	wait_for_end(closer);
	assert_false(is_open(held));
	for (unsigned i = 0; i < GATE_CLOSER_MAX; i++)
		assert_false(is_open(others[i]));
}

/* A relay may be removed meanwhile. */
static void what_is_left_is_closed_after_the_end(void **state)
{
	int held = hold(*state), other = a_file();

	gate_closer_close(*state, other);
	*state = gate_closer_free(*state);
	atomic_store(&held_fd, -1);
	for (unsigned i = 0; i < PATIENCE_MS && (is_open(held) || is_open(other)); i++)
		usleep(1000);
	assert_false(is_open(held) || is_open(other));
}

static void closes_itself_without_threads(void **state)
{
	int fd = a_file();

	atomic_store(&no_threads, true);
	gate_closer_close(*state, fd);
	assert_false(is_open(fd));
	assert_false(gate_closer_is_busy(*state));
}

/* A socket has a thread only if something in it has not been read; its peer never has to wait. */
static void peers_notice_at_once(void **state)
{
	int pair[2];
	char byte;

	for (unsigned unread = 0; unread <= 1; unread++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		if (unread)
			assert_int_equal(send(pair[0], "x", 1, 0), 1);
		atomic_store(&held_fd, unread ? pair[1] : -1);
		gate_closer_hang_up(*state, pair[1]);
		assert_int_equal(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
		assert_int_equal(gate_closer_is_busy(*state), unread);
		close(pair[0]);
	}
	assert_int_equal(atomic_load(&n_threads), 1);
	atomic_store(&held_fd, -1);
	wait_for_end(*state);
	assert_false(is_open(pair[1]));
}

#define CLOSER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLOSER_TEST(one_thread_waits_for_all),
		CLOSER_TEST(what_is_left_is_closed_after_the_end),
		CLOSER_TEST(closes_itself_without_threads),
		CLOSER_TEST(peers_notice_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
