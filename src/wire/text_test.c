/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static void test_valid(void **state)
{
	static const char *const good[] = {"", "plain /path-1.sock", "\xc2\xa0", "caf\xc3\xa9",
		"\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\n", "a\x7f", "\x1b[0m", "\xc2\x80", "\xff", "\xc0\x80",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xe2\x82",
		"\x80", "\xc3", "\xf5\x80\x80\x80"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(wire_text_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(wire_text_valid(bad[i]));
}

static void test_copy(void **state)
{
	char text[8];

	wire_text_copy(text, sizeof(text), "a\xff\nb");
	assert_string_equal(text, "a??b");
	/* Cut between characters, never within one. */
	wire_text_copy(text, sizeof(text), "12345\xe2\x82\xac");
	assert_string_equal(text, "12345");
	wire_text_copy(text, sizeof(text), "1234\xe2\x82\xac!");
	assert_string_equal(text, "1234\xe2\x82\xac");
}

static bool has_nul(const char *bytes, size_t length)
{
	static const unsigned fields[] = {5, 100};

	return wire_has_nul(bytes, length, fields, ARRAY_SIZE(fields));
}

static void test_has_nul(void **state)
{
	assert_true(has_nul("\x2a\x02x\0", 4));
	assert_true(has_nul("\x2a\x01y\x2a\x02x\0", 7));
	assert_true(has_nul("\xa2\x06\x01\0", 4));         /* field 100 */
	assert_true(has_nul("\x08\x00\x2a\x02x\0", 6));    /* behind a varint */
	assert_true(has_nul("\x0d\0\0\0\0\x2a\x01\0", 8)); /* behind 32 bits */
	assert_true(has_nul("\x09\0\0\0\0\0\0\0\0\x2a\x01\0", 12));
	assert_false(has_nul("\x2a\x02xy", 4));
	assert_false(has_nul("\x12\x02x\0", 4)); /* another field */
	assert_false(has_nul("\x28\x00", 2));    /* no string */
	assert_false(has_nul("\x2a\x03x\0", 4)); /* longer than the message */
	assert_false(has_nul("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
	assert_false(has_nul("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12));
	assert_false(has_nul("\x2b\x2a\x01\0", 4)); /* a group */
	assert_false(has_nul("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_has_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
