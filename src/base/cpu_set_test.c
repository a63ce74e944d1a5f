/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpu_set.h"

static void reads_and_formats(void **state)
{
	static const struct {
		const char *given, *formatted;
		unsigned count;
	} cases[] = {
		{"0", "0", 1},
		{"1,2", "1-2", 2},
		{"8,1-3", "1-3,8", 4},
		{"0x6", "1-2", 2},
		{"0X8000000000000001", "0,63", 2},
		{"0x10000000000000000", "64", 1},
		{"0x0000000000000000000000000000000000001", "0", 1},
		{"5-5", "5", 1},
		{"1023", "1023", 1},
		{"0-1023", "0-1023", 1024},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cpu_set set;
		char text[32];

		assert_int_equal(cpu_set_parse(cases[i].given, &set, NULL), 0);
		assert_int_equal(cpu_set_count(&set), cases[i].count);
		cpu_set_format(&set, text, sizeof(text));
		assert_string_equal(text, cases[i].formatted);
	}
}

static void mask_of_all_cpus(void **state)
{
	char text[2 + CPU_SET_MAX / 4 + 2] = "0x";
	struct cpu_set set;

	memset(text + 2, 'f', CPU_SET_MAX / 4);
	assert_int_equal(cpu_set_parse(text, &set, NULL), 0);
	assert_int_equal(cpu_set_count(&set), CPU_SET_MAX);
	text[2 + CPU_SET_MAX / 4] = '1';
	assert_int_equal(cpu_set_parse(text, &set, NULL), -EINVAL);
}

static void refuses(void **state)
{
	static const struct {
		const char *given, *reason;
	} cases[] = {
		{"", "expected"},
		{"0x", "mask"},
		{"0x0", "names no CPU"},
		{"0xg", "mask"},
		{"0x6,1", "mask"},
		{"1,", "expected"},
		{",1", "expected"},
		{"1,,2", "expected"},
		{"1 2", "unexpected"},
		{"1;2", "unexpected"},
		{"-1", "expected"},
		{"3-", "expected"},
		{"3-1", "reversed"},
		{"1-2-3", "unexpected"},
		{"1,1", "twice"},
		{"1-3,2", "twice"},
		{"1024", "above 1023"},
		{"4294967297", "above 1023"},
		{"6h", "unexpected"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cpu_set set = {{1}}, before = set;
		struct err err = {};

		assert_int_equal(cpu_set_parse(cases[i].given, &set, &err), -EINVAL);
		assert_memory_equal(&set, &before, sizeof(set));
		assert_non_null(strstr(err.text, cases[i].reason));
	}
}

static void members(void **state)
{
	struct cpu_set set = {};

	assert_int_equal(cpu_set_next(&set, 0), -1);
	cpu_set_add(&set, 3);
	cpu_set_add(&set, 700);
	cpu_set_add(&set, CPU_SET_MAX);
	assert_int_equal(cpu_set_count(&set), 2);
	assert_true(cpu_set_has(&set, 3));
	assert_false(cpu_set_has(&set, 4));
	assert_false(cpu_set_has(&set, CPU_SET_MAX));
	assert_int_equal(cpu_set_next(&set, 0), 3);
	assert_int_equal(cpu_set_next(&set, 4), 700);
	assert_int_equal(cpu_set_next(&set, 701), -1);
}

/* With every second CPU offline the kernel's list is 2 KiB long. */
static void reads_a_long_file(void **state)
{
	char path[] = "/tmp/cpu_set_test.XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	struct cpu_set set = {};
	struct err err;

	assert_non_null(file);
	for (unsigned cpu = 0; cpu < CPU_SET_MAX; cpu += 2)
		fprintf(file, "%s%u", cpu > 0 ? "," : "", cpu);
	fprintf(file, "\n");
	fclose(file);
	assert_int_equal(cpu_set_read(path, &set, &err), 0);
	assert_int_equal(cpu_set_count(&set), CPU_SET_MAX / 2);
	assert_true(cpu_set_has(&set, CPU_SET_MAX - 2));

	assert_return_code(truncate(path, 0), errno);
	assert_int_equal(cpu_set_read(path, &set, &err), -EIO);
	assert_non_null(strstr(err.text, path));
	unlink(path);
	assert_int_equal(cpu_set_read(path, &set, &err), -ENOENT);
}

static void format_is_cut(void **state)
{
	struct cpu_set set;
	char text[16] = "xxxxxxxxxxxxxxx";

	assert_int_equal(cpu_set_parse("0,2,14,16", &set, NULL), 0);
	cpu_set_format(&set, text, 10);
	assert_string_equal(text, "0,2,14,16");
	cpu_set_format(&set, text, 9);
	assert_string_equal(text, "0,2,...");
	cpu_set_format(&set, text, 8);
	assert_string_equal(text, "0,2,...");
	cpu_set_format(&set, text, 7);
	assert_string_equal(text, "0,...");
	cpu_set_format(&set, text, 4);
	assert_memory_equal(text, "...\0.", 5);
	memset(&set, 0, sizeof(set));
	cpu_set_format(&set, text, 4);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_formats),
		cmocka_unit_test(mask_of_all_cpus),
		cmocka_unit_test(refuses),
		cmocka_unit_test(members),
		cmocka_unit_test(reads_a_long_file),
		cmocka_unit_test(format_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
