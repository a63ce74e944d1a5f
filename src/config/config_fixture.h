/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Configurations of the tests: a file, a command line and a machine. A failure ends the test. */

#include "config/load.h"

#define ARGS_MAX 12 /* of a command line of the tests */
#define LONG_DIR                                                                            \
	"/a23456789/b23456789/c23456789/d23456789/e23456789/f23456789/g23456789/h23456789/" \
	"i2345678"

extern char fixture_path[]; /* of the configuration file, between setup and teardown */

/* Makes and removes the file: cmocka's group setup and teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_write(const char *text);

/* Splits a command line at blanks, after --config=<fixture_path>; returns argc. */
int fixture_split(const char *line, char *copy, char **argv);

/*
 * Loads this file and command line for the daemon, on a machine with CPUs 0..8, of which 8 is
 * offline and 6 is outside our cpuset, and CPUs 100..299.
 */
int fixture_load(const char *file, const char *line, struct config **ret_config, struct err *err);

/* Loads a configuration that must be valid. */
struct config *fixture_good(const char *file, const char *line);
