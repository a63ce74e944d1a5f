/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/docs.h"
#include "config/help.h"
#include "config/option.h"
#include "config/setting.h"

static const char *shipped_path;

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(file);
	assert_non_null(text);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	fclose(file);
	return text;
}

static char *written_file(void)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	docs_write_file(out);
	fclose(out);
	return text;
}

/* After a change of the table: build/src/config/config-docs file > dist/virtioforwarder.default */
static void shipped_file_is_what_the_table_says(void **state)
{
	_cleanup_free_ char *shipped = read_all(shipped_path);
	_cleanup_free_ char *written = written_file();

	assert_string_equal(shipped, written);
}

static void shipped_file_sets_every_variable_as_shipped(void **state)
{
	_cleanup_free_ char *written = written_file();
	struct settings settings = {};
	struct err err = {};

	if (file_parse("shipped", written, PROGRAM_DAEMON, &settings, &err) < 0)
		fail_msg("%s", err.text);
	for (enum option_id id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];
		const struct setting *setting = &settings.of[id];

		if (!option->variable || option_by_variable(PROGRAM_DAEMON, option->variable) != id)
			continue;
		assert_true(setting->given);
		assert_int_equal(setting->n, option->shipped ? 1 : 0);
		if (option->shipped)
			assert_string_equal(setting->values[0].text, option->shipped);
	}
	settings_fini(&settings);
}

static char *from_template(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	FILE *template = fmemopen(copy, strlen(copy), "r");
	char *page;
	size_t size;
	FILE *out = open_memstream(&page, &size);

	docs_write_man(template, out);
	fclose(template);
	fclose(out);
	return page;
}

static void man_pages_name_everything(void **state)
{
	_cleanup_free_ char *options = from_template("@OPTIONS@\n");
	_cleanup_free_ char *variables = from_template("@VARIABLES@\n");

	for (enum option_id id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];
		char text[128];

		if (option->variable) {
			snprintf(text, sizeof(text), "\n\\fB%s\\fR", option->variable);
			assert_non_null(strstr(variables, text));
		}
		if ((option->programs & PROGRAM_DAEMON) && option->short_name) {
			snprintf(text, sizeof(text), "\\fB\\-%c\\fR, \\fB\\-\\-",
				option->short_name);
			assert_non_null(strstr(options, text));
		}
	}
}

static void template_keeps_its_text(void **state)
{
	_cleanup_free_ char *page = from_template(".TH a 8 \"x @VERSION@\" y\ntext\n");

	assert_string_equal(page, ".TH a 8 \"x " PROJECT_VERSION "\" y\ntext\n");
}

static void help_names_all_options_in_80_columns(void **state)
{
	char *help;
	size_t size;
	FILE *out = open_memstream(&help, &size);

	help_print(out, PROGRAM_DAEMON);
	fclose(out);
	for (enum option_id id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];
		char text[64];

		if (!(option->programs & PROGRAM_DAEMON) || !option->long_name)
			continue;
		snprintf(text, sizeof(text), "--%s", option->long_name);
		assert_non_null(strstr(help, text));
	}
	for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
		assert_in_range(strcspn(line, "\n"), 0, 80);
	free(help);
}

static void what_an_option_without_a_value_turns_on_is_off_by_default(void **state)
{
	assert_string_equal(option_default_name(&config_options[OPT_NODAEMON]), "off");
	assert_string_equal(option_default_name(&config_options[OPT_SCHED_DRY_RUN]), "off");
	assert_string_equal(option_default_name(&config_options[OPT_VFIO_VF_TOKEN]), "none");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped_file_is_what_the_table_says),
		cmocka_unit_test(shipped_file_sets_every_variable_as_shipped),
		cmocka_unit_test(man_pages_name_everything),
		cmocka_unit_test(template_keeps_its_text),
		cmocka_unit_test(help_names_all_options_in_80_columns),
		cmocka_unit_test(what_an_option_without_a_value_turns_on_is_off_by_default),
	};

	if (argc != 2)
		return 2;
	shipped_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
