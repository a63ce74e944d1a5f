/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char fixture_path[] = "/tmp/config_test.XXXXXX";

/*
 * A machine with CPUs 0..8, of which 8 is offline and 6 is outside our cpuset, and CPUs 100..299.
 */
static struct machine machine(void)
{
	struct machine machine;

	assert_int_equal(cpu_set_parse("0-8,100-299", &machine.present, NULL), 0);
	assert_int_equal(cpu_set_parse("0-7,100-299", &machine.online, NULL), 0);
	assert_int_equal(cpu_set_parse("0-5,7,100-299", &machine.usable, NULL), 0);
	return machine;
}

void fixture_write(const char *text)
{
	FILE *file = fopen(fixture_path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

int fixture_split(const char *line, char *copy, char **argv)
{
	static char config_option[64];
	char *rest;
	int argc = 2;

	snprintf(config_option, sizeof(config_option), "--config=%s", fixture_path);
	argv[0] = (char *)"virtio-forwarder";
	argv[1] = config_option;
	strcpy(copy, line);
	for (char *arg = strtok_r(copy, " ", &rest); arg; arg = strtok_r(NULL, " ", &rest)) {
		assert_in_range(argc, 2, ARGS_MAX);
		argv[argc++] = arg;
	}
	return argc;
}

int fixture_load(const char *file, const char *line, struct config **ret_config, struct err *err)
{
	struct machine m = machine();
	char copy[512], *argv[ARGS_MAX + 2] = {};
	int argc = fixture_split(line, copy, argv);

	fixture_write(file);
	return load_daemon(argc, argv, &m, false, ret_config, err);
}

struct config *fixture_good(const char *file, const char *line)
{
	struct config *config = NULL;
	struct err err = {};

	if (fixture_load(file, line, &config, &err) != CONFIG_RUN)
		fail_msg("%s", err.text);
	return config;
}

int fixture_setup(void **state)
{
	_cleanup_close_ int fd = mkstemp(fixture_path);

	return fd < 0;
}

int fixture_teardown(void **state)
{
	return unlink(fixture_path);
}
