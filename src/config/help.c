/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/help.h"

#include <string.h>

#include "config/config.h"

#define COLUMNS 80
#define HELP_INDENT "          "

static const char *program_name(enum program program)
{
	return program == PROGRAM_DAEMON ? "virtio-forwarder" : "vio4wd_core_scheduler";
}

void help_wrap(FILE *out, const char *text, unsigned width, const char *indent)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > width) {
			fprintf(out, "\n%s", indent);
			column = 0;
		} else if (column > 0) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)word, text);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct config_option *option)
{
	static const char *const form[] = {[ARG_NONE] = "",
		[ARG_FLAG] = "[=%s]",
		[ARG_REQUIRED] = "=%s",
		[ARG_OPTIONAL] = "[=%s]"};
	char text[1024], value[64];
	size_t length;

	if (option->short_name)
		fprintf(out, "  -%c, ", option->short_name);
	else
		fprintf(out, "      ");
	snprintf(value, sizeof(value), form[option->arg], option->metavar);
	fprintf(out, "--%s%s\n" HELP_INDENT, option->long_name, value);

	length = (size_t)snprintf(text, sizeof(text), "%s", option->help);
	if (option->arg != ARG_NONE)
		snprintf(text + length, sizeof(text) - length, " (default: %s)",
			option_default_name(option));
	help_wrap(out, text, COLUMNS - sizeof(HELP_INDENT), HELP_INDENT);
}

void help_print(FILE *out, enum program program)
{
	fprintf(out,
		"Usage: %s [OPTION]...\n\n"
		"Options override the file " CONFIG_FILE_DEFAULT ".\n"
		"An empty value means the default.\n",
		program_name(program));
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];

		if (!(option->programs & program))
			continue;
		if (option->section)
			fprintf(out, "\n%s:\n", option->section);
		if (option->long_name)
			print_option(out, option);
	}
}

void help_print_version(FILE *out, enum program program)
{
	fprintf(out, "%s %s\n", program_name(program), PROJECT_VERSION);
	if (program == PROGRAM_DAEMON)
		fprintf(out, "DPDK %s\n", DPDK_VERSION);
}
