/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	struct log_limit limit;
	int stderr_fd; /* the true one */
	int log_fd;    /* what is logged meanwhile */
	char text[1024];
} bed;

static int make_bed(void **state)
{
	unsetenv("JOURNAL_STREAM");
	log_open("test", LOG_NOTICE);
	bed.limit = (struct log_limit)LOG_LIMIT(1);
	bed.stderr_fd = dup(STDERR_FILENO);
	bed.log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(bed.log_fd >= 0);
	dup2(bed.log_fd, STDERR_FILENO);
	return 0;
}

static int remove_bed(void **state)
{
	dup2(bed.stderr_fd, STDERR_FILENO);
	close(bed.stderr_fd);
	close(bed.log_fd);
	return 0;
}

static const char *logged(void)
{
	ssize_t length = pread(bed.log_fd, bed.text, sizeof(bed.text) - 1, 0);

	bed.text[length > 0 ? length : 0] = '\0';
	return bed.text;
}

/* Until wait_for_token(), nothing may be written, however long the test takes. */
static void use_up(void)
{
	assert_true(log_limit_pass(&bed.limit, LOG_NOTICE));
	bed.limit.burst = 0;
}

static void wait_for_token(void)
{
	bed.limit.tokens = bed.limit.burst = 1;
}

static void test_lost_messages_are_counted(void **state)
{
	use_up();
	assert_false(log_limit_pass(&bed.limit, LOG_NOTICE));
	assert_false(log_limit_pass(&bed.limit, LOG_WARNING));
	assert_string_equal(logged(), "");
	wait_for_token();
	assert_true(log_limit_pass(&bed.limit, LOG_WARNING));
	assert_non_null(strstr(logged(), " warning 2 messages like the next one were held back\n"));
}

static void test_held_back_messages_of_a_relay(void **state)
{
	bed.limit = (struct log_limit)LOG_LIMIT_OF_RELAY(1, 3);
	use_up();
	assert_false(log_limit_pass(&bed.limit, LOG_WARNING));
	wait_for_token();
	assert_true(log_limit_pass(&bed.limit, LOG_WARNING));
	assert_non_null(strstr(
		logged(), " warning relay 3: 1 messages like the next one were held back\n"));
}

static void test_asking_again_counts_for_nothing(void **state)
{
	use_up();
	for (int i = 0; i < 10; i++)
		assert_false(log_limit_try(&bed.limit, LOG_NOTICE));
	wait_for_token();
	assert_true(log_limit_try(&bed.limit, LOG_NOTICE));
	bed.limit.burst = 0; /* no token comes back, even if the second turns now */
	assert_false(log_limit_try(&bed.limit, LOG_NOTICE));
	assert_string_equal(logged(), "");
}

static void test_hidden_messages_do_not_count(void **state)
{
	for (int i = 0; i < 10; i++)
		assert_true(log_limit_pass(&bed.limit, LOG_INFO));
	use_up();
	assert_true(log_limit_pass(&bed.limit, LOG_INFO));
	wait_for_token();
	assert_true(log_limit_pass(&bed.limit, LOG_NOTICE));
	assert_string_equal(logged(), "");
}

/* Neither a second line, nor an escape sequence, nor what makes journalctl hide the line. */
static void test_texts_from_outside_are_made_presentable(void **state)
{
	log_notice("a\nb\x1b[0m c\xc2\x9b d\xe9 caf\xc3\xa9");
	assert_non_null(strstr(logged(), " notice a?b?[0m c?? d? caf\xc3\xa9\n"));
}

/* Reads what a pipe has. */
static void read_pipe(int fd)
{
	ssize_t length = read(fd, bed.text, sizeof(bed.text) - 1);

	bed.text[length > 0 ? length : 0] = '\0';
}

static void test_nobody_reads(void **state)
{
	char filling[4096] = "";
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[1], F_SETPIPE_SZ, sizeof(filling));
	assert_int_equal(write(ends[1], filling, sizeof(filling)), sizeof(filling));
	dup2(ends[1], STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		log_warning("unread");
	for (size_t n = 0; n < sizeof(filling);
		n += (size_t)read(ends[0], filling, sizeof(filling)))
		;
	log_notice("read");
	read_pipe(ends[0]);
	assert_non_null(strstr(bed.text, " warning 3 lines were lost: nobody read stderr\n"));
	assert_non_null(strstr(bed.text, " notice read\n"));
	log_notice("read");
	read_pipe(ends[0]);
	assert_null(strstr(bed.text, "lost"));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_lost_messages_are_counted, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_held_back_messages_of_a_relay, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_asking_again_counts_for_nothing, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_hidden_messages_do_not_count, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_texts_from_outside_are_made_presentable, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(test_nobody_reads, make_bed, remove_bed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
