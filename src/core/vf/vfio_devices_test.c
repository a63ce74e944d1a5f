/* SPDX-License-Identifier: BSD-3-Clause */

/* Plain files play VFIO devices; close() of one returns when all are being closed. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd_link.h"
#include "base/util.h"
#include "core/vf/vfio_devices.h"

#define DEVICES 3
#define PATIENCE_MS 5000

/* The wrapped functions know no bed. */
static char names[DEVICES][FD_LINK_SIZE]; /* of the devices */
static _Atomic bool together, alone, no_threads;
static _Atomic unsigned n_closing;

ssize_t __real_readlink(const char *path, char *ret_link, size_t size);
ssize_t __wrap_readlink(const char *path, char *ret_link, size_t size);

ssize_t __wrap_readlink(const char *path, char *ret_link, size_t size)
{
	static const char link[] = "anon_inode:[vfio-device]";

	for (unsigned i = 0; i < DEVICES; i++)
		if (strcmp(path, names[i]) == 0) {
			memcpy(ret_link, link, MIN(size, strlen(link)));
			return (ssize_t)MIN(size, strlen(link));
		}
	return __real_readlink(path, ret_link, size);
}

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	if (atomic_load(&together)) {
		atomic_fetch_add(&n_closing, 1);
		for (unsigned i = 0; i < PATIENCE_MS && atomic_load(&n_closing) < DEVICES; i++)
			usleep(1000);
		if (atomic_load(&n_closing) < DEVICES)
			atomic_store(&alone, true);
	}
	return __real_close(fd);
}

int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument);

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
	void *(*run)(void *), void *argument)
{
	return atomic_load(&no_threads)
	               ? EAGAIN
	               : __real_pthread_create(ret_thread, attributes, run, argument);
}

static unsigned count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* Holds the devices, closes them as DPDK does, and lets them go. */
static void stop(bool expect_together)
{
	const unsigned before = count_open();
	int fds[DEVICES];

	for (unsigned i = 0; i < DEVICES; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] >= 0);
		fd_link(fds[i], names[i]);
	}
	struct vfio_devices *devices = vfio_devices_hold();
	memset(names, 0, sizeof(names));
	assert_int_equal(count_open(), before + 2 * DEVICES);
	for (unsigned i = 0; i < DEVICES; i++)
		close(fds[i]);
	assert_int_equal(count_open(), before + DEVICES);
	atomic_store(&together, expect_together);
	assert_null(vfio_devices_release(devices));
	atomic_store(&together, false);
	assert_int_equal(count_open(), before);
}

static void all_go_at_the_same_time(void **state)
{
	stop(true);
	assert_false(atomic_load(&alone));
}

static void without_threads_they_go_one_by_one(void **state)
{
	atomic_store(&no_threads, true);
	stop(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_go_at_the_same_time),
		cmocka_unit_test(without_threads_they_go_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
