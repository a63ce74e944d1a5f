/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pid_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <cmocka.h>

static struct {
	char directory[32];
	char path[64];
	unsigned n_removals;
} bed;

/*
 * Takes the place of the C library's flock(): the daemon that had the file may remove it just
 * before.
 */
int flock(int fd, int operation)
{
	if (bed.n_removals > 0) {
		bed.n_removals--;
		unlink(bed.path);
	}
	return (int)syscall(SYS_flock, fd, operation);
}

static int make_bed(void **state)
{
	strcpy(bed.directory, "/tmp/pid-file-XXXXXX");
	assert_non_null(mkdtemp(bed.directory));
	snprintf(bed.path, sizeof(bed.path), "%s/virtio-forwarder.pid", bed.directory);
	bed.n_removals = 0;
	return 0;
}

static int remove_bed(void **state)
{
	assert_int_equal(rmdir(bed.directory), 0);
	return 0;
}

static void take(struct pid_file *file, const char *directory)
{
	struct err err = {""};

	if (pid_file_take(file, directory, &err) < 0)
		fail_msg("%s", err.text);
}

/* There is a daemon, and only one. */
static void expect_taken(void)
{
	struct pid_file other;
	struct err err = {""};

	assert_int_equal(pid_file_take(&other, bed.directory, &err), -EBUSY);
	assert_int_equal(other.fd, -1);
}

static void only_one_has_it(void **state)
{
	struct pid_file file;

	for (unsigned i = 0; i < 2; i++) {
		assert_false(pid_file_is_taken(bed.directory));
		take(&file, bed.directory);
		assert_int_equal(pid_file_write(&file, NULL), 0);
		expect_taken();
		assert_true(pid_file_is_taken(bed.directory));
		pid_file_release(&file);
	}
}

static void a_file_that_was_left_is_nobodys(void **state)
{
	struct pid_file file;

	take(&file, bed.directory);
	close(file.fd); /* as if the daemon had been killed */
	assert_false(pid_file_is_taken(bed.directory));
	take(&file, bed.directory);
	pid_file_release(&file);
}

static void a_file_that_was_removed_is_not_locked(void **state)
{
	struct pid_file file;

	bed.n_removals = 2;
	take(&file, bed.directory);
	expect_taken();
	pid_file_release(&file);

	bed.n_removals = 1000;
	expect_taken();
	assert_in_range(bed.n_removals, 900, 999); /* it has given up */
}

static void long_paths(void **state)
{
	char directory[2 * PATH_MAX];
	struct pid_file file;
	struct err err = {""};

	strcpy(directory, bed.directory);
	while (strlen(directory) < 1000)
		strcat(directory, "/.");
	take(&file, directory);
	expect_taken();
	pid_file_release(&file);
	while (strlen(directory) < PATH_MAX)
		strcat(directory, "/.");
	assert_int_equal(pid_file_take(&file, directory, &err), -ENAMETOOLONG);
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, make_bed, remove_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BED(only_one_has_it),
		IN_BED(a_file_that_was_left_is_nobodys),
		IN_BED(a_file_that_was_removed_is_not_locked),
		IN_BED(long_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
