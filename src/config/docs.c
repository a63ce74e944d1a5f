/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/docs.h"

#include <string.h>

#include "base/util.h"
#include "config/help.h"
#include "config/option.h"

#define TEXT_SIZE 1024

/* The whole description of an option: its help line as a sentence, then the details. */
static void describe(const struct config_option *option, char ret_text[static TEXT_SIZE])
{
	snprintf(ret_text, TEXT_SIZE, "%c%s.%s%s", option->help[0] & ~0x20, option->help + 1,
		option->detail ? " " : "", option->detail ? option->detail : "");
}

/* A variable that two programs read is described only once, with the first. */
static bool describes_variable(unsigned id)
{
	const char *variable = config_options[id].variable;

	for (unsigned before = 0; variable && before < id; before++)
		if (config_options[before].variable &&
			strcmp(config_options[before].variable, variable) == 0)
			return false;
	return variable;
}

static void write_variable(FILE *out, const struct config_option *option)
{
	char text[TEXT_SIZE];

	describe(option, text);
	fprintf(out, "\n# ");
	help_wrap(out, text, 78, "# ");
	fprintf(out, "# ");
	if (option->short_name)
		fprintf(out, "Option: -%c, --%s. ", option->short_name, option->long_name);
	else if (option->long_name)
		fprintf(out, "Option: --%s. ", option->long_name);
	fprintf(out, "Default: %s.\n", option_default_name(option));
	fprintf(out, "%s=%s\n", option->variable, option->shipped ? option->shipped : "");
}

void docs_write_file(FILE *out)
{
	fprintf(out,
		"# Configuration of virtio-forwarder and vio4wd_core_scheduler; see\n"
		"# virtioforwarder(5). The daemons read this file themselves, without a shell:\n"
		"# the form is variable=value, and nothing is expanded. A blank value means the\n"
		"# default. Command-line options override the file. A boolean is true or false.\n"
		"# An endpoint is an address (ipc:///path), or true for the default address.\n");
	for (unsigned id = 0; id < OPT_N; id++) {
		if (config_options[id].section && config_options[id].variable)
			fprintf(out, "\n#\n# %s\n#\n", config_options[id].section);
		if (describes_variable(id))
			write_variable(out, &config_options[id]);
	}
}

/* Writes text that roff does not interpret. */
static void write_roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fprintf(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			fprintf(out, "\\e");
		else if (*text == '-')
			fprintf(out, "\\-");
		else if (*text == '\'')
			fprintf(out, "\\(aq");
		else
			fputc(*text, out);
	}
}

static void write_roff_description(FILE *out, const struct config_option *option)
{
	char text[TEXT_SIZE];

	describe(option, text);
	fputc('\n', out);
	write_roff(out, text);
	fputc('\n', out);
	if (option->arg != ARG_NONE || option->parse) {
		fprintf(out, "Default: ");
		write_roff(out, option_default_name(option));
		fprintf(out, ".\n");
	}
}

static void write_roff_option(FILE *out, const struct config_option *option)
{
	fprintf(out, ".TP\n");
	if (option->short_name)
		fprintf(out, "\\fB\\-%c\\fR, ", option->short_name);
	fprintf(out, "\\fB\\-\\-");
	write_roff(out, option->long_name);
	fprintf(out, "\\fR");
	if (option->arg == ARG_REQUIRED)
		fprintf(out, "=\\fI%s\\fR", option->metavar);
	else if (option->arg != ARG_NONE)
		fprintf(out, "[=\\fI%s\\fR]", option->metavar);
	write_roff_description(out, option);
}

static void write_roff_options(FILE *out, enum program program)
{
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];

		if (!(option->programs & program))
			continue;
		if (option->section)
			fprintf(out, ".SS %s\n", option->section);
		if (option->long_name)
			write_roff_option(out, option);
	}
}

static void write_roff_variables(FILE *out)
{
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];

		if (option->section && option->variable)
			fprintf(out, ".SS %s\n", option->section);
		if (!describes_variable(id))
			continue;
		fprintf(out, ".TP\n\\fB%s\\fR", option->variable);
		if (option->long_name && option->short_name)
			fprintf(out, " (\\-%c)", option->short_name);
		write_roff_description(out, option);
		if (option->shipped) {
			fprintf(out, "The shipped file sets ");
			write_roff(out, option->shipped);
			fprintf(out, ".\n");
		}
	}
}

void docs_write_man(FILE *template, FILE *out)
{
	static const char version[] = "@VERSION@";
	char line[TEXT_SIZE];

	while (fgets(line, sizeof(line), template)) {
		char *at = strstr(line, version);

		if (strcmp(line, "@OPTIONS@\n") == 0)
			write_roff_options(out, PROGRAM_DAEMON);
		else if (strcmp(line, "@SCHED_OPTIONS@\n") == 0)
			write_roff_options(out, PROGRAM_SCHED);
		else if (strcmp(line, "@VARIABLES@\n") == 0)
			write_roff_variables(out);
		else if (at)
			fprintf(out, "%.*s%s%s", (int)(at - line), line, PROJECT_VERSION,
				at + strlen(version));
		else
			fputs(line, out);
	}
}
