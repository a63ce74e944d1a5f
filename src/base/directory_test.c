/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/intruder_fixture.h"

#define VICTIM_MODE 0700

static struct {
	char base[32];
	char path[64];
	char victim[64];       /* a directory of others, with VICTIM_MODE */
	void (*intrude)(void); /* called when `path` has just been made; NULL: nobody */
} bed;

/* Takes the place of the C library's mkdir(). */
int mkdir(const char *path, mode_t mode)
{
	int r = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);

	if (r == 0 && bed.intrude != NULL)
		bed.intrude();
	return r;
}

static int make_bed(void **state)
{
	bed.intrude = NULL;
	strcpy(bed.base, "/tmp/directory-XXXXXX");
	assert_non_null(mkdtemp(bed.base));
	snprintf(bed.path, sizeof(bed.path), "%s/new", bed.base);
	snprintf(bed.victim, sizeof(bed.victim), "%s/victim", bed.base);
	assert_int_equal(mkdir(bed.victim, VICTIM_MODE), 0);
	return 0;
}

static int remove_bed(void **state)
{
	unlink(bed.path);
	rmdir(bed.path);
	rmdir(bed.victim);
	assert_int_equal(rmdir(bed.base), 0);
	return 0;
}

static void new_one_has_mode_and_owner(void **state)
{
	const uid_t uid = new_owner();
	const gid_t gid = new_group();
	char with_slash[80];

	snprintf(with_slash, sizeof(with_slash), "%s/", bed.path);
	mode_t before = umask(027);
	assert_int_equal(directory_make(with_slash, 03775, uid, gid, NULL), 1);
	umask(before);
	struct stat st = status_of(bed.path);
	assert_int_equal(st.st_mode, S_IFDIR | 03775);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static void run_without_root(void)
{
	if (geteuid() == 0) {
		assert_int_equal(chmod(bed.base, 0777), 0);
		assert_int_equal(seteuid(SOMEBODY), 0);
	}
}

/* Not even one by which the new directory cannot be read. */
static void no_umask_is_in_the_way(void **state)
{
	run_without_root();
	mode_t before = umask(0777);
	int r = directory_make(bed.path, 0755, -1, -1, NULL);
	umask(before);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(r, 1);
	assert_int_equal(status_of(bed.path).st_mode, S_IFDIR | 0755);
}

static void existing_one_is_left_as_it_is(void **state)
{
	assert_int_equal(directory_make(bed.victim, 0755, -1, -1, NULL), 0);
	assert_int_equal(status_of(bed.victim).st_mode & 07777, VICTIM_MODE);
	assert_int_equal(symlink(bed.victim, bed.path), 0);
	assert_int_equal(directory_make(bed.path, 0755, -1, -1, NULL), 0);
	assert_int_equal(status_of(bed.victim).st_mode & 07777, VICTIM_MODE);
}

static void one_that_cannot_be_given_is_not_left(void **state)
{
	run_without_root();
	int r = directory_make(bed.path, 0755, 0, -1, NULL);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(r, -EPERM);
	assert_int_equal(access(bed.path, F_OK), -1);
}

static void one_that_cannot_be_opened_is_not_left(void **state)
{
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int r = directory_make(bed.path, 0755, -1, -1, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(access(bed.path, F_OK), -1);
}

static void put_link(void)
{
	assert_int_equal(rmdir(bed.path), 0);
	assert_int_equal(symlink(bed.victim, bed.path), 0);
}

static void put_directory_of_another(void)
{
	assert_int_equal(rename(bed.victim, bed.path), 0);
	assert_int_equal(chown(bed.path, SOMEBODY, -1), 0);
}

/* Whatever takes the place of the new directory stays as it was. */
static void what_takes_its_name_is_not_touched(void **state)
{
	void (*const intruders[])(void) = {put_link, put_directory_of_another};

	for (unsigned i = 0; i < ARRAY_SIZE(intruders); i++) {
		struct err err = {""};

		if (intruders[i] == put_directory_of_another && geteuid() != 0)
			continue;
		bed.intrude = intruders[i];
		assert_true(directory_make(bed.path, 0755, SOMEBODY + 1, -1, &err) < 0);
		assert_non_null(strstr(err.text, bed.path));
		const char *kept = access(bed.victim, F_OK) == 0 ? bed.victim : bed.path;
		assert_int_equal(status_of(kept).st_mode & 07777, VICTIM_MODE);
		assert_int_not_equal(status_of(kept).st_uid, SOMEBODY + 1);
		remove_bed(NULL);
		make_bed(NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bed, remove_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_one_has_mode_and_owner),
		TEST(existing_one_is_left_as_it_is),
		TEST(no_umask_is_in_the_way),
		TEST(one_that_cannot_be_given_is_not_left),
		TEST(one_that_cannot_be_opened_is_not_left),
		TEST(what_takes_its_name_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
