/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "config/setting.h"

#define LONG_VAL \
	0x100 /* getopt's value for a long option: LONG_VAL + id; for a short one: its letter */

struct getopt_tables {
	char shorts[3 * OPT_N + 2];
	struct option longs[OPT_N + 1];
};

static void build_tables(enum program program, struct getopt_tables *tables)
{
	static const char *const short_suffix[] = {
		[ARG_NONE] = "", [ARG_FLAG] = "", [ARG_REQUIRED] = ":", [ARG_OPTIONAL] = "::"};
	static const int long_kind[] = {[ARG_NONE] = no_argument,
		[ARG_FLAG] = optional_argument,
		[ARG_REQUIRED] = required_argument,
		[ARG_OPTIONAL] = optional_argument};
	struct option *next = tables->longs;
	char *end = tables->shorts;

	*end++ = ':'; /* makes getopt tell a missing value from an unknown option */
	*end = '\0';
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];

		if (!(option->programs & program) || !option->long_name)
			continue;
		if (option->short_name)
			end += sprintf(end, "%c%s", option->short_name, short_suffix[option->arg]);
		*next++ = (struct option){
			option->long_name, long_kind[option->arg], NULL, LONG_VAL + (int)id};
	}
	*next = (struct option){};
}

static enum option_id id_of(enum program program, int val)
{
	if (val >= LONG_VAL)
		return (enum option_id)(val - LONG_VAL);
	for (enum option_id id = 0; id < OPT_N; id++)
		if ((config_options[id].programs & program) && config_options[id].short_name == val)
			return id;
	return OPT_N;
}

static int refuse(enum program program, int c, char **argv, struct err *err)
{
	enum option_id id = optopt ? id_of(program, optopt) : OPT_N;

	if (c == ':')
		return err_set(err, EINVAL, "--%s: needs a value (%s)",
			config_options[id].long_name, config_options[id].metavar);
	if (id != OPT_N)
		return err_set(err, EINVAL, "--%s: takes no value", config_options[id].long_name);
	if (optopt)
		return err_set(err, EINVAL, "-%c: unknown option; --help lists them", optopt);
	return err_set(err, EINVAL, "%s: unknown or ambiguous option; --help lists them",
		argv[optind - 1]);
}

static int check_characters(int argc, char **argv, struct err *err)
{
	for (int i = 1; i < argc; i++)
		for (const char *c = argv[i]; *c; c++)
			if (iscntrl((unsigned char)*c))
				return err_set(err, EINVAL,
					"argument %d of the command line holds control character "
					"0x%02x",
					i, (unsigned)(unsigned char)*c);
	return 0;
}

static int add(struct settings *settings, enum option_id id, const char *text, struct err *err)
{
	char origin[64];

	snprintf(origin, sizeof(origin), "--%s", config_options[id].long_name);
	return settings_add(settings, id, text ? text : "true", origin, err);
}

int command_line_parse(
	int argc, char **argv, enum program program, struct settings *settings, struct err *err)
{
	struct getopt_tables tables;
	int r;

	r = check_characters(argc, argv, err);
	if (r < 0)
		return r;
	build_tables(program, &tables);
	opterr = 0;
	optind = 0; /* glibc: start from the beginning */
	for (;;) {
		int c = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);

		if (c == -1)
			break;
		if (c == '?' || c == ':')
			return refuse(program, c, argv, err);
		r = add(settings, id_of(program, c), optarg, err);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return err_set(err, EINVAL,
			"%s: unexpected argument; an optional value is written --option=VALUE or "
			"-oVALUE",
			argv[optind]);
	return 0;
}
