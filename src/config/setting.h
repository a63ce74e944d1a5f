/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The texts that one source (the file, or the command line) gives for the options, unread. */

#include <stdbool.h>

#include "base/err.h"
#include "config/option.h"

struct value {
	char *text;   /* not blank */
	char *origin; /* "<file>:<line>: <variable>" or "--option", for messages */
};

struct setting {
	bool given;           /* true with n == 0: blank, which means the default */
	unsigned line;        /* of the file, where it was given */
	unsigned line_before; /* where it was given the time before, else 0 */
	unsigned n;           /* more than one only where the option is a list */
	struct value *values;
};

struct settings {
	struct setting of[OPT_N];
};

/*
 * Notes a text for an option: one more of a list, else in place of what was there. Blank text takes
 * back what was there. `origin` is copied. Returns 0 or -ENOMEM.
 */
int settings_add(struct settings *settings, enum option_id id, const char *text, const char *origin,
	struct err *err);

void settings_fini(struct settings *settings);

/*
 * Reads the text of a configuration file. Of several settings of a variable the last one is in
 * force, as in a shell. On failure err begins with "<path>:<line>: ". Returns
 * -EINVAL or -ENOMEM.
 */
int file_parse(const char *path, const char *text, enum program program, struct settings *settings,
	struct err *err);

/* Reads and parses the file; -ENOENT where it does not exist, or what else went wrong. */
int file_read(const char *path, enum program program, struct settings *settings, struct err *err);

/*
 * Reads the command line; argv may be permuted. Actions (--help) are given without a value.
 * Uses getopt's global state: one thread at a time. (Not cmdline_parse(): a library of DPDK's has
 * that name.)
 */
int command_line_parse(
	int argc, char **argv, enum program program, struct settings *settings, struct err *err);
