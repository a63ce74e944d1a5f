/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/intruder_fixture.h"

#define VICTIM_MODE 0600

static struct {
	char directory[32];
	char path[64];         /* of the socket */
	char victim[64];       /* a file of others, with VICTIM_MODE */
	void (*intrude)(void); /* called when the socket's file has just been made; NULL: nobody */
} bed;

/* Takes the place of the C library's bind(). */
int bind(int fd, const struct sockaddr *addr, socklen_t length)
{
	int r = (int)syscall(SYS_bind, fd, addr, length);

	if (r == 0 && bed.intrude != NULL)
		bed.intrude();
	return r;
}

static int make_bed(void **state)
{
	strcpy(bed.directory, "/tmp/unix-socket-XXXXXX");
	assert_non_null(mkdtemp(bed.directory));
	snprintf(bed.path, sizeof(bed.path), "%s/socket", bed.directory);
	snprintf(bed.victim, sizeof(bed.victim), "%s/victim", bed.directory);
	int fd = open(bed.victim, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, VICTIM_MODE);
	assert_true(fd >= 0);
	close(fd);
	bed.intrude = NULL;
	return 0;
}

static int remove_bed(void **state)
{
	unlink(bed.path);
	unlink(bed.victim);
	assert_int_equal(rmdir(bed.directory), 0);
	return 0;
}

static void file_has_mode_and_owner(void **state)
{
	const uid_t uid = new_owner();
	const gid_t gid = new_group();
	const mode_t umasks[] = {0, 0777};
	struct file_id file;

	for (unsigned i = 0; i < ARRAY_SIZE(umasks); i++) {
		mode_t before = umask(umasks[i]);
		int fd = unix_socket_bind(bed.path, uid, gid, &file, NULL);
		umask(before);
		assert_true(fd >= 0);
		struct stat st = status_of(bed.path);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
		assert_int_equal(st.st_uid, uid);
		assert_int_equal(st.st_gid, gid);
		assert_int_equal(unix_socket_probe(bed.path), -ECONNREFUSED);
		assert_int_equal(listen(fd, 1), 0);
		assert_int_equal(unix_socket_probe(bed.path), 0);
		close(fd);
		unix_socket_remove(bed.path, &file);
		assert_int_equal(access(bed.path, F_OK), -1);
	}
}

static void owner_stays_who_made_it(void **state)
{
	struct file_id file;
	int fd = unix_socket_bind(bed.path, -1, -1, &file, NULL);

	assert_true(fd >= 0);
	assert_int_equal(status_of(bed.path).st_uid, geteuid());
	assert_int_equal(status_of(bed.path).st_gid, getegid());
	close(fd);
}

static void only_its_own_file_is_removed(void **state)
{
	struct file_id file;
	int fd = unix_socket_bind(bed.path, -1, -1, &file, NULL);

	assert_true(fd >= 0);
	assert_int_equal(rename(bed.victim, bed.path), 0);
	unix_socket_remove(bed.path, &file);
	assert_int_equal(access(bed.path, F_OK), 0);
	close(fd);
}

static void put_link(void)
{
	assert_int_equal(unlink(bed.path), 0);
	assert_int_equal(symlink(bed.victim, bed.path), 0);
}

static void put_file(void)
{
	assert_int_equal(unlink(bed.path), 0);
	assert_int_equal(link(bed.victim, bed.path), 0);
}

static void put_nothing(void)
{
	assert_int_equal(unlink(bed.path), 0);
}

/* A socket that has another name, too. */
static void put_name_of_socket(void)
{
	assert_int_equal(unlink(bed.victim), 0);
	assert_int_equal(link(bed.path, bed.victim), 0);
	assert_int_equal(chmod(bed.path, VICTIM_MODE), 0);
}

static void put_socket_of_another(void)
{
	assert_int_equal(unlink(bed.victim), 0);
	assert_int_equal(mknod(bed.victim, S_IFSOCK | VICTIM_MODE, 0), 0);
	assert_int_equal(chown(bed.victim, SOMEBODY, -1), 0);
	assert_int_equal(rename(bed.victim, bed.path), 0);
}

/* Whatever takes the name of the new socket is refused, and stays as it was. */
static void what_takes_its_name_is_not_touched(void **state)
{
	static const struct {
		void (*intrude)(void);
		int code;
		bool of_root;
	} cases[] = {
		{put_link, EPERM},
		{put_file, EPERM},
		{put_nothing, ENOENT},
		{put_name_of_socket, EPERM},
		{put_socket_of_another, EPERM, true},
	};
	const uid_t uid = geteuid() == 0 ? SOMEBODY + 1 : geteuid();

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct file_id file;
		struct err err = {""};

		if (cases[i].of_root && geteuid() != 0)
			continue;
		bed.intrude = cases[i].intrude;
		assert_int_equal(unix_socket_bind(bed.path, uid, -1, &file, &err), -cases[i].code);
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
		TEST(file_has_mode_and_owner),
		TEST(owner_stays_who_made_it),
		TEST(only_its_own_file_is_removed),
		TEST(what_takes_its_name_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
