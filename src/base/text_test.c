/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

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
		assert_true(text_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_valid(bad[i]));
}

static void test_copy(void **state)
{
	char text[8];

	text_copy(text, sizeof(text), "a\xff\nb");
	assert_string_equal(text, "a??b");
	/* Cut between characters, never within one. */
	text_copy(text, sizeof(text), "12345\xe2\x82\xac");
	assert_string_equal(text, "12345");
	text_copy(text, sizeof(text), "1234\xe2\x82\xac!");
	assert_string_equal(text, "1234\xe2\x82\xac");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
