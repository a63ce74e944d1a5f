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

#define ARGS_MAX 8

/* Splits a command line at blanks and parses it. */
static int parse(const char *line, enum program program, struct settings *settings, struct err *err)
{
	_cleanup_free_ char *copy = strdup(line);
	char *argv[ARGS_MAX + 2] = {(char *)"program"}, *rest;
	int argc = 1;

	for (char *arg = strtok_r(copy, " ", &rest); arg; arg = strtok_r(NULL, " ", &rest)) {
		assert_in_range(argc, 1, ARGS_MAX);
		argv[argc++] = arg;
	}
	return command_line_parse(argc, argv, program, settings, err);
}

static void reads_options(void **state)
{
	static const struct {
		const char *line;
		enum option_id id;
		const char *value;
	} cases[] = {
		{"-C 1,2", OPT_CPUS, "1,2"},
		{"--cpus=1,2", OPT_CPUS, "1,2"},
		{"--cpus 1,2", OPT_CPUS, "1,2"},
		{"--cpus=1 -C2", OPT_CPUS, "2"},
		{"-z", OPT_ZMQ_STATS, "true"},
		{"-zipc:///x", OPT_ZMQ_STATS, "ipc:///x"},
		{"--zmq-stats-ep", OPT_ZMQ_STATS, "true"},
		{"--zmq-stats-ep=ipc:///x", OPT_ZMQ_STATS, "ipc:///x"},
		{"--zmq-stats-ep=ipc:///x --zmq-stats-ep=", OPT_ZMQ_STATS, NULL},
		{"-JR", OPT_MRGBUF, "true"},
		{"-0", OPT_ZERO_COPY, "true"},
		{"--enable-jumbo=no", OPT_JUMBO, "no"},
		{"-n", OPT_NODAEMON, "true"},
		{"-nlog_syslog", OPT_NODAEMON, "log_syslog"},
		{"--nodaemon=log_syslog", OPT_NODAEMON, "log_syslog"},
		{"--no-huge", OPT_NO_HUGE, "true"},
		{"-t 0", OPT_VFIO_VF_TOKEN, "0"},
		{"--vhost-u x", OPT_SOCKET_OWNER, "x"},
		{"-h", OPT_HELP, "true"},
		{"--version", OPT_VERSION, "true"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings settings = {};
		const struct setting *setting = &settings.of[cases[i].id];
		struct err err = {};

		if (parse(cases[i].line, PROGRAM_DAEMON, &settings, &err) < 0)
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_true(setting->given);
		assert_int_equal(setting->n, cases[i].value ? 1 : 0);
		if (cases[i].value)
			assert_string_equal(setting->values[0].text, cases[i].value);
		settings_fini(&settings);
	}
}

static void lists_gather(void **state)
{
	struct settings settings = {};

	assert_int_equal(
		parse("-P a=1 --add-pci-vf=b=2 -P c=3", PROGRAM_DAEMON, &settings, NULL), 0);
	assert_int_equal(settings.of[OPT_STATIC_VFS].n, 3);
	assert_string_equal(settings.of[OPT_STATIC_VFS].values[1].text, "b=2");
	assert_string_equal(settings.of[OPT_STATIC_VFS].values[2].origin, "--add-pci-vf");
	settings_fini(&settings);
}

static void each_program_has_its_own(void **state)
{
	struct settings settings = {};

	assert_int_equal(
		parse("--loglevel=3 --sensitivity=0.5", PROGRAM_SCHED, &settings, NULL), 0);
	assert_int_equal(settings.of[OPT_SCHED_LOG_LEVEL].n, 1);
	assert_int_equal(settings.of[OPT_LOG_LEVEL].n, 0);
	settings_fini(&settings);
	assert_int_equal(parse("--cpus=1", PROGRAM_SCHED, &settings, NULL), -EINVAL);
	assert_int_equal(parse("--sensitivity=1", PROGRAM_DAEMON, &settings, NULL), -EINVAL);
	settings_fini(&settings);
}

static void refuses(void **state)
{
	static const struct {
		const char *line, *reason;
	} cases[] = {
		{"--nosuch", "--nosuch: unknown or ambiguous"},
		{"--zmq", "--zmq: unknown or ambiguous"},
		{"-x", "-x: unknown option"},
		{"-C", "--cpus: needs a value (CPUS)"},
		{"--cpus", "--cpus: needs a value (CPUS)"},
		{"--help=x", "--help: takes no value"},
		{"-z ipc:///x", "ipc:///x: unexpected argument"},
		{"--cpus=1\033", "argument 1 of the command line holds control character 0x1b"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings settings = {};
		struct err err = {};

		assert_int_equal(parse(cases[i].line, PROGRAM_DAEMON, &settings, &err), -EINVAL);
		if (strncmp(err.text, cases[i].reason, strlen(cases[i].reason)) != 0)
			fail_msg("'%s': expected '%s'", err.text, cases[i].reason);
		settings_fini(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_options),
		cmocka_unit_test(lists_gather),
		cmocka_unit_test(each_program_has_its_own),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
