/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The option values that one source (the file, or the command line) sets, as unparsed text. */

#include <stdbool.h>

#include "base/err.h"
#include "config/option.h"

struct value {
	char *text;   /* not blank */
	char *origin; /* "<file>:<line>: <variable>" or "--option", for messages */
};

struct setting {
	bool given;           /* with n == 0: set to blank, which means the default */
	unsigned line;        /* of the file, where it is set last; 0 on the command line */
	unsigned line_before; /* where it is set the time before; 0: nowhere */
	unsigned n;           /* more than 1 only if the option is a list */
	struct value *values;
};

struct settings {
	struct setting of[OPT_N];
	char *unknown; /* the file's unknown variables, which are blank: "A, B"; NULL: none */
};

/*
 * Adds a value for an option: another item of a list, otherwise a replacement. A blank text removes
 * what was there. `origin` is copied. Returns 0 or -ENOMEM.
 */
int settings_add(struct settings *settings, enum option_id id, const char *text, const char *origin,
	struct err *err);

void settings_fini(struct settings *settings);

/*
 * Parses the text of a configuration file. If a variable is set several times, the last setting
 * wins, as in a shell. An unknown variable must be blank. Returns 0, -EINVAL, where err begins with
 * "<path>:<line>: ", or -ENOMEM.
 */
int file_parse(const char *path, const char *text, enum program program, struct settings *settings,
	struct err *err);

/* Reads and parses the file. -ENOENT if it does not exist, or another negative errno. */
int file_read(const char *path, enum program program, struct settings *settings, struct err *err);

/*
 * Parses the command line; argv may be permuted. An option without a value gets "true". Uses
 * getopt's global state, so only one thread at a time. (Not named cmdline_parse(), which a DPDK
 * library defines.)
 */
int command_line_parse(
	int argc, char **argv, enum program program, struct settings *settings, struct err *err);
