/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cmocka.h>

#include "core/gate/gate_memory.h"

/* One region, which is all of a file. */
static struct vhost_user_memory memory_of(int fd, uint64_t bytes)
{
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return (struct vhost_user_memory){.n_regions = 1, .regions = {{0, bytes, UINT32_MAX, 0}}};
}

/* If a private copy has taken the pages, they do not suffice for the file itself. */
static void too_few_hugepages(void **state)
{
	struct err err;
	struct stat st;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	if (fd < 0)
		skip();
	const struct vhost_user_memory memory = memory_of(fd, 1ULL << 40);
	assert_int_equal(gate_memory_check(&memory, &fd, &st, &err), 0);
	assert_int_equal(gate_memory_check_mappable(&memory, &st, &fd, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "are its hugepages shared (QEMU: share=on"));
	assert_true(gate_memory_is_private(&st, &fd, 1));
	close(fd);
}

static void ordinary_memory_is_not_in_doubt(void **state)
{
	struct err err;
	struct stat st;
	int fd = memfd_create("ordinary", MFD_CLOEXEC);
	const struct vhost_user_memory memory = memory_of(fd, 1ULL << 20);

	assert_int_equal(gate_memory_check(&memory, &fd, &st, &err), 0);
	assert_int_equal(gate_memory_check_mappable(&memory, &st, &fd, &err), 0);
	assert_false(gate_memory_is_private(&st, &fd, 1));
	assert_false(gate_memory_is_private(&st, &fd, 0));
	close(fd);
}

static void file_on_tmpfs_is_taken(void **state)
{
	struct err err;
	struct stat st;
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct vhost_user_memory memory = memory_of(fd, 1ULL << 20);

	assert_int_equal(gate_memory_check(&memory, &fd, &st, &err), 0);
	assert_false(gate_memory_is_on_disk(&st, 1));
	close(fd);
}

static void file_on_a_disk_is_told(void **state)
{
	struct err err;
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || fstat(fd, &st) < 0 || major(st.st_dev) == 0)
		skip();
	const struct vhost_user_memory memory = memory_of(fd, 1ULL << 20);
	assert_int_equal(gate_memory_check(&memory, &fd, &st, &err), 0);
	assert_true(gate_memory_is_on_disk(&st, 1));
	close(fd);
}

/* As a file server's or FUSE process's would be. */
static void file_on_no_disk_is_refused(void **state)
{
	struct err err;
	struct stat st;
	int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	const struct vhost_user_memory memory = {.n_regions = 1, .regions = {{.bytes = 1}}};

	assert_true(fd >= 0);
	assert_int_equal(gate_memory_check(&memory, &fd, &st, &err), -EPROTO);
	assert_non_null(strstr(err.text, "on no disk of this host"));
	assert_non_null(strstr(err.text, "use a memfd"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_few_hugepages),
		cmocka_unit_test(ordinary_memory_is_not_in_doubt),
		cmocka_unit_test(file_on_tmpfs_is_taken),
		cmocka_unit_test(file_on_a_disk_is_told),
		cmocka_unit_test(file_on_no_disk_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
