/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "control/command_file/command_file.h"
#include "control/command_file/commands.h"
#include "control/turn.h"
#include "host/sysfs_fixture.h"

struct bed {
	struct fake_sysfs fs;
	char directory[64];
	char path[128];
	sd_event *event;
	struct command_file *file;
	char log[1024]; /* the operations, as text */
	int code;       /* what the next operations return */
	bool slow;      /* an operation takes more than a turn */
};

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	struct bed *bed = userdata;
	size_t length = strlen(bed->log);

	assert_int_equal(op->device.n_members, 1);
	assert_int_equal(op->conditional, op->kind == OP_ADD);
	if (bed->slow)
		nanosleep(&(struct timespec){.tv_nsec = TURN_NS}, NULL);
	snprintf(bed->log + length, sizeof(bed->log) - length, "%s %d %s;",
		op->kind == OP_ADD ? "add" : "remove", op->relay_id, op->device.members[0].text);
	ret_result->code = bed->code;
}

static void start(struct bed *bed)
{
	const struct command_file_options options = {.path = bed->path, .sysfs = bed->fs.root};
	struct err err = {""};

	if (command_file_new(&bed->file, bed->event, &options, apply, bed, &err) < 0)
		fail_msg("%s", err.text);
}

static int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	fake_sysfs_init(&bed->fs);
	fake_sysfs_pci(&bed->fs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_pci(&bed->fs, "0000:05:08.3", "nfp", 2);
	fake_sysfs_pci(&bed->fs, "0000:05:10.0", "nfp", 3);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:08.3", 3);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:10.0", 64);
	fake_sysfs_netdev(&bed->fs, "ens1np0", "0000:05:00.0", "aa", "p0");
	fake_sysfs_netdev(&bed->fs, "eth3", NULL, "aa", "pf0vf3");
	fake_sysfs_netdev(&bed->fs, "eth64", NULL, "aa", "pf0vf64");
	strcpy(bed->directory, "/tmp/command-file-XXXXXX");
	assert_non_null(mkdtemp(bed->directory));
	chmod(bed->directory, 01777);
	snprintf(bed->path, sizeof(bed->path), "%s/vio_cmd", bed->directory);
	assert_true(sd_event_new(&bed->event) >= 0);
	*state = bed;
	return 0;
}

static int remove_bed(void **state)
{
	struct bed *bed = *state;

	command_file_free(bed->file);
	sd_event_unref(bed->event);
	unlink(bed->path);
	assert_int_equal(rmdir(bed->directory), 0);
	fake_sysfs_fini(&bed->fs);
	free(bed);
	return 0;
}

/* Runs the loop until nothing is left to do; the kernel reports all that we do at once. */
static void settle(struct bed *bed)
{
	bed->log[0] = '\0';
	while (sd_event_run(bed->event, 0) > 0)
		;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fchmod(fileno(file), mode);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void command(struct bed *bed, const char *text)
{
	write_file(bed->path, text, 0644);
	settle(bed);
}

static void texts_are_read(void **state)
{
	const char good[] = "add_port eth3\n\n  del_port\tens1np0 \r\nadd_port x";
	const char command[] = "it is neither \"add_port <netdev>\" nor \"del_port <netdev>\"";
	const char name[] = "can be no interface's name";
	const struct {
		const char *text, *number, *reason;
	} bad[] = {{"add_port", "line 1: ", command}, {"add_port a b", "line 1: ", command},
		{"addport eth3", "line 1: ", command}, {"eth3", "line 1: ", command},
		{"addport sixteen-letters-", "line 1: ", command},
		{"del_port ../x", "line 1: \"../x\" ", name},
		{"add_port eth3\nadd_port sixteen-letters-", "line 2: \"sixteen-letters-\" ", name},
		{"add_port eth3\nnonsense", "line 2: ", command}};
	char expected[128];
	struct err err;
	struct command *commands;
	unsigned n;

	assert_int_equal(commands_parse(good, strlen(good), &commands, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_true(commands[0].add);
	assert_string_equal(commands[0].netdev, "eth3");
	assert_false(commands[1].add);
	assert_string_equal(commands[1].netdev, "ens1np0");
	assert_string_equal(commands[2].netdev, "x");
	free(commands);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			commands_parse(bad[i].text, strlen(bad[i].text), &commands, &n, &err),
			-EINVAL);
		snprintf(expected, sizeof(expected), "%s%s", bad[i].number, bad[i].reason);
		assert_string_equal(err.text, expected);
	}
	assert_int_equal(commands_parse("add_port a\0b", 12, &commands, &n, NULL), -EINVAL);
	assert_int_equal(commands_parse("", 0, &commands, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(commands);
}

static void commands_are_done_once_and_unlinked(void **state)
{
	struct bed *bed = *state;
	char other[160];

	start(bed);
	settle(bed);
	assert_string_equal(bed->log, "");
	command(bed, "add_port eth3\n");
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
	assert_false(exists(bed->path));
	command(bed, "del_port eth3\nadd_port eth3");
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;add 3 0000:05:08.3;");

	snprintf(other, sizeof(other), "%s.new", bed->path);
	write_file(other, "del_port eth3\n", 0600);
	settle(bed);
	assert_string_equal(bed->log, "");
	assert_int_equal(rename(other, bed->path), 0);
	settle(bed);
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;");
	assert_false(exists(bed->path));
}

static void a_file_from_before_the_start_is_taken(void **state)
{
	struct bed *bed = *state;

	write_file(bed->path, "add_port eth3\n", 0644);
	start(bed);
	settle(bed);
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
}

static void an_open_file_is_waited_for(void **state)
{
	struct bed *bed = *state;
	FILE *file;

	start(bed);
	file = fopen(bed->path, "w");
	settle(bed);
	assert_true(exists(bed->path));
	fputs("add_port ", file);
	fflush(file);
	settle(bed);
	assert_string_equal(bed->log, "");
	fputs("eth3", file);
	fclose(file);
	settle(bed);
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
}

static void a_vanished_interface_can_be_deleted(void **state)
{
	struct bed *bed = *state;

	start(bed);
	command(bed, "add_port eth3\n");
	fake_sysfs_remove(&bed->fs, "class/net/eth3");
	command(bed, "del_port eth3\n");
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;");
	command(bed, "del_port eth3\n");
	assert_string_equal(bed->log, "");
}

/* The port that was added last under the name is the one that is deleted. */
static void a_name_may_move_to_another_vf(void **state)
{
	struct bed *bed = *state;

	start(bed);
	command(bed, "add_port eth3\n");
	fake_sysfs_remove(&bed->fs, "class/net/eth3");
	fake_sysfs_pci(&bed->fs, "0000:05:08.5", "nfp", 4);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:08.5", 5);
	fake_sysfs_netdev(&bed->fs, "eth3", NULL, "aa", "pf0vf5");
	command(bed, "add_port eth3\n");
	assert_string_equal(bed->log, "add 5 0000:05:08.5;");
	command(bed, "del_port eth3\n");
	assert_string_equal(bed->log, "remove 5 0000:05:08.5;");
}

/* A deletion by another VF of the same number is refused and does not count. */
static void a_failed_deletion_changes_nothing(void **state)
{
	struct bed *bed = *state;

	fake_sysfs_pci(&bed->fs, "0000:06:00.0", "igb", 4);
	fake_sysfs_pci(&bed->fs, "0000:06:08.3", "igbvf", 5);
	fake_sysfs_vf(&bed->fs, "0000:06:00.0", "0000:06:08.3", 3);
	fake_sysfs_netdev(&bed->fs, "other3", "0000:06:08.3", NULL, NULL);
	start(bed);
	command(bed, "add_port eth3\n");
	bed->code = ENOENT;
	command(bed, "del_port other3\n");
	assert_string_equal(bed->log, "remove 3 0000:06:08.3;");
	bed->code = 0;
	fake_sysfs_remove(&bed->fs, "class/net/eth3");
	command(bed, "del_port eth3\n");
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;");
}

static void bad_commands_do_nothing(void **state)
{
	struct bed *bed = *state;

	start(bed);
	command(bed, "add_port nosuch\n");
	assert_string_equal(bed->log, "");
	command(bed, "add_port eth64\n");
	assert_string_equal(bed->log, "");
	command(bed, "add_port eth3\nrm -rf\n");
	assert_string_equal(bed->log, "");
	assert_false(exists(bed->path));
	bed->code = EBUSY;
	command(bed, "add_port eth3\n");
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
}

static void expect_left_alone(struct bed *bed)
{
	settle(bed);
	assert_string_equal(bed->log, "");
	assert_true(exists(bed->path));
	command_file_free(bed->file);
	start(bed);
	settle(bed);
	assert_string_equal(bed->log, "");
	assert_true(exists(bed->path));
	unlink(bed->path);
}

/*
 * Creates an acceptable file next to the command file's place, and then moves something else into
 * that place.
 */
static void refused_files_are_left_alone(void **state)
{
	struct bed *bed = *state;
	char other[160], text[5000];

	snprintf(other, sizeof(other), "%s.other", bed->path);
	start(bed);
	settle(bed);

	write_file(other, "add_port eth3\n", 0644);
	assert_int_equal(symlink(other, bed->path), 0);
	expect_left_alone(bed);
	assert_int_equal(link(other, bed->path), 0);
	expect_left_alone(bed);
	chmod(other, 0666);
	assert_int_equal(rename(other, bed->path), 0);
	expect_left_alone(bed);
	assert_int_equal(mkfifo(bed->path, 0600), 0);
	expect_left_alone(bed);

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "add_port eth3", 13);
	write_file(bed->path, text, 0644);
	expect_left_alone(bed);

	if (geteuid() == 0) {
		write_file(other, "add_port eth3\n", 0644);
		assert_int_equal(chown(other, 65534, 0), 0);
		assert_int_equal(rename(other, bed->path), 0);
		expect_left_alone(bed);
		write_file(other, "add_port eth3\n", 0664);
		assert_int_equal(chown(other, 0, 65534), 0);
		assert_int_equal(rename(other, bed->path), 0);
		expect_left_alone(bed);
	}
	command(bed, "add_port eth3\n");
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
}

static size_t count_operations(const struct bed *bed)
{
	size_t n = 0;

	for (const char *c = bed->log; *c; c++)
		n += *c == ';';
	return n;
}

/* Other event sources wait for one command at most; the next file waits for all commands. */
static void slow_commands_take_turns(void **state)
{
	struct bed *bed = *state;
	size_t before = 0, n = 0;

	start(bed);
	settle(bed);
	bed->slow = true;
	write_file(bed->path, "add_port eth3\ndel_port eth3\nadd_port eth3\n", 0644);
	while (sd_event_run(bed->event, 0) > 0) {
		before = n;
		n = count_operations(bed);
		assert_in_range(n, before, before + 1);
		if (n == 1 && before == 0)
			write_file(bed->path, "del_port eth3\n", 0644);
	}
	assert_string_equal(bed->log, "add 3 0000:05:08.3;remove 3 0000:05:08.3;"
				      "add 3 0000:05:08.3;remove 3 0000:05:08.3;");
	assert_false(exists(bed->path));
}

static void bad_paths_are_errors(void **state)
{
	struct bed *bed = *state;
	const char *const paths[] = {"relative", "/tmp/", "/nonexistent-directory/vio_cmd"};

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct command_file_options options = {.path = paths[i]};
		struct err err = {""};

		assert_true(
			command_file_new(&bed->file, bed->event, &options, apply, bed, &err) < 0);
		assert_non_null(strstr(err.text, paths[i]));
		assert_null(bed->file);
	}
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, make_bed, remove_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read),
		IN_BED(commands_are_done_once_and_unlinked),
		IN_BED(a_file_from_before_the_start_is_taken),
		IN_BED(an_open_file_is_waited_for),
		IN_BED(a_vanished_interface_can_be_deleted),
		IN_BED(a_name_may_move_to_another_vf),
		IN_BED(a_failed_deletion_changes_nothing),
		IN_BED(bad_commands_do_nothing),
		IN_BED(refused_files_are_left_alone),
		IN_BED(slow_commands_take_turns),
		IN_BED(bad_paths_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
