/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/setting.h"

static void expect_values(
	const char *text, enum option_id id, const char *const *values, unsigned n)
{
	struct settings settings = {};
	struct err err = {};

	if (file_parse("f", text, PROGRAM_DAEMON, &settings, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(settings.of[id].given);
	assert_int_equal(settings.of[id].n, n);
	for (unsigned i = 0; i < n; i++)
		assert_string_equal(settings.of[id].values[i].text, values[i]);
	settings_fini(&settings);
}

static void reads_values(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{"VIRTIOFWD_SOCKET_DIR=/a", "/a"},
		{"\n\n# comment\n  VIRTIOFWD_SOCKET_DIR=/a # why\n", "/a"},
		{"VIRTIOFWD_SOCKET_DIR=/a\r\n", "/a"},
		{"\xef\xbb\xbfVIRTIOFWD_SOCKET_DIR=/caf\xc3\xa9\n", "/caf\xc3\xa9"},
		{"VIRTIOFWD_SOCKET_DIR=\"/a b\"\n", "/a b"},
		{"VIRTIOFWD_SOCKET_DIR='/a $HOME `x` \\ \"'\n", "/a $HOME `x` \\ \""},
		{"VIRTIOFWD_SOCKET_DIR=/a\\ b\\$c\n", "/a b$c"},
		{"VIRTIOFWD_SOCKET_DIR=\"/a\\\"\\\\\\$\\`\\b\"\n", "/a\"\\$`\\b"},
		{"VIRTIOFWD_SOCKET_DIR=/a'b c'\"d\"#e=f\n", "/ab cd#e=f"},
		{"VIRTIOFWD_SOCKET_DIR=/a;b&c\n", "/a;b&c"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_values(cases[i].text, OPT_SOCKET_DIR, &cases[i].value, 1);
}

static void blank_is_given_without_value(void **state)
{
	static const char *const cases[] = {"VIRTIOFWD_STATIC_VFS=", "VIRTIOFWD_STATIC_VFS=\n",
		"VIRTIOFWD_STATIC_VFS=\"\"\n", "VIRTIOFWD_STATIC_VFS='  '\n",
		"VIRTIOFWD_STATIC_VFS= # none\n", "VIRTIOFWD_STATIC_VFS=()\n",
		"VIRTIOFWD_STATIC_VFS=(\n# none\n)"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_values(cases[i], OPT_STATIC_VFS, NULL, 0);
}

static void reads_arrays(void **state)
{
	static const char *const values[] = {"a=1", "b c=2", "d=3"};

	expect_values("VIRTIOFWD_STATIC_VFS=(a=1 \"b c=2\" d=3)\n", OPT_STATIC_VFS, values, 3);
	expect_values(
		"VIRTIOFWD_STATIC_VFS=( # comment\n a=1\n\n'b c=2' # another (\n\td=3\n) # end\n",
		OPT_STATIC_VFS, values, 3);
}

static void the_last_setting_is_in_force(void **state)
{
	static const char *const values[] = {"c=3", "d=4"};

	expect_values("VIRTIOFWD_STATIC_VFS=(a=1 b=2)\nVIRTIOFWD_STATIC_VFS=(c=3 d=4)\n",
		OPT_STATIC_VFS, values, 2);
	expect_values("VIRTIOFWD_STATIC_VFS=(a=1 b=2)\nVIRTIOFWD_STATIC_VFS=c=3\n", OPT_STATIC_VFS,
		values, 1);
	expect_values(
		"VIRTIOFWD_STATIC_VFS=(a=1 b=2)\nVIRTIOFWD_STATIC_VFS=\n", OPT_STATIC_VFS, NULL, 0);
	expect_values("VIRTIOFWD_SOCKET_DIR=/a\nVIRTIOFWD_SOCKET_DIR=/b\nVIRTIOFWD_SOCKET_DIR="
		      "c=3\n",
		OPT_SOCKET_DIR, values, 1);
}

static void tells_the_line_of_each_item(void **state)
{
	struct settings settings = {};

	assert_int_equal(file_parse("/x", "\nVIRTIOFWD_CPU_PINS=(1:1\n2:2)\nVIRTIOFWD_JUMBO=yes",
				 PROGRAM_DAEMON, &settings, NULL),
		0);
	assert_string_equal(settings.of[OPT_CPU_PINS].values[0].origin, "/x:2: VIRTIOFWD_CPU_PINS");
	assert_string_equal(settings.of[OPT_CPU_PINS].values[1].origin, "/x:3: VIRTIOFWD_CPU_PINS");
	assert_string_equal(settings.of[OPT_JUMBO].values[0].origin, "/x:4: VIRTIOFWD_JUMBO");
	settings_fini(&settings);
}

static void shared_variable_goes_to_the_program_that_reads(void **state)
{
	static const char text[] = "VIRTIOFWD_ZMQ_STATS_EP=ipc:///x\nVIRTIOFWD_JUMBO=1\n";
	struct settings settings = {};

	assert_int_equal(file_parse("f", text, PROGRAM_SCHED, &settings, NULL), 0);
	assert_int_equal(settings.of[OPT_SCHED_STATS_EP].n, 1);
	assert_int_equal(settings.of[OPT_ZMQ_STATS].n, 0);
	settings_fini(&settings);
}

static void unknown_variables_may_be_blank(void **state)
{
	struct settings settings = {};

	assert_int_equal(file_parse("f", "FOO= # new\nVIRTIOFWD_JUMBO=1\nBAR=' '\n", PROGRAM_DAEMON,
				 &settings, NULL),
		0);
	assert_string_equal(settings.unknown, "FOO, BAR");
	assert_true(settings.of[OPT_JUMBO].given);
	settings_fini(&settings);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *begin, *reason;
	} cases[] = {
		{"\nFOO=1\n", "f:2: ", "unknown variable 'FOO'"},
		{"FOO=(1\n2)\n", "f:1: ", "unknown variable 'FOO'"},
		{"FOO= 1\n", "f:1: ", "FOO: '1' follows the value"},
		{"VIRTIOFWD_JUMBO\n", "f:1: ", "no variable=value"},
		{"=1\n", "f:1: ", "no variable=value"},
		{"export VIRTIOFWD_JUMBO=1\n", "f:1: ", "'export'"},
		{"VIRTIOFWD_JUMBO =1\n", "f:1: ", "no blank"},
		{"VIRTIOFWD_JUMBO= 1\n", "f:1: ", "'1' follows the value"},
		{"VIRTIOFWD_SOCKET_DIR=/a b\n", "f:1: ", "'b' follows the value"},
		{"VIRTIOFWD_SOCKET_DIR=$HOME\n", "f:1: ", "'$' would need a shell"},
		{"VIRTIOFWD_SOCKET_DIR=\"/a/$HOME\"\n", "f:1: ", "'$' would need a shell"},
		{"VIRTIOFWD_SOCKET_DIR=`pwd`\n", "f:1: ", "'`' would need a shell"},
		{"VIRTIOFWD_STATIC_VFS=(a=1\n$b=2)\n", "f:2: ", "'$' would need a shell"},
		{"VIRTIOFWD_SOCKET_DIR=\"/a\n\"\n", "f:1: ", "no closing \""},
		{"VIRTIOFWD_SOCKET_DIR='/a", "f:1: ", "no closing '"},
		{"VIRTIOFWD_SOCKET_DIR=/a\\\n/b\n", "f:1: ", "next line"},
		{"VIRTIOFWD_SOCKET_DIR=/a\\\r\n/b\n", "f:1: ", "next line"},
		{"\nVIRTIOFWD_STATIC_VFS=(a=1\nb=2\n", "f:2: ", "no ')'"},
		{"VIRTIOFWD_STATIC_VFS=(a=1) b\n", "f:1: ", "'b' follows"},
		{"VIRTIOFWD_SOCKET_DIR=(/a)\n", "f:1: ", "not an array"},
		{"\nVIRTIOFWD_SOCKET_DIR=/a\033[1m\n", "f:2: ", "control character 0x1b"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings settings = {};
		struct err err = {};

		assert_int_equal(
			file_parse("f", cases[i].text, PROGRAM_DAEMON, &settings, &err), -EINVAL);
		if (strncmp(err.text, cases[i].begin, strlen(cases[i].begin)) != 0 ||
			!strstr(err.text, cases[i].reason))
			fail_msg("'%s': expected '%s...%s'", err.text, cases[i].begin,
				cases[i].reason);
		settings_fini(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_values),
		cmocka_unit_test(blank_is_given_without_value),
		cmocka_unit_test(reads_arrays),
		cmocka_unit_test(the_last_setting_is_in_force),
		cmocka_unit_test(tells_the_line_of_each_item),
		cmocka_unit_test(shared_variable_goes_to_the_program_that_reads),
		cmocka_unit_test(unknown_variables_may_be_blank),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
