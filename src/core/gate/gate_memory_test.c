/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_few_hugepages),
		cmocka_unit_test(ordinary_memory_is_not_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
