/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void set_returns_negative_code(void **state)
{
	struct err err = {"old"};

	assert_int_equal(err_set(&err, ENOENT, "%s: no such device", "net_null0"), -ENOENT);
	assert_string_equal(err.text, "net_null0: no such device");
	assert_int_equal(err_set(NULL, EIO, "nobody listens"), -EIO);
}

static void set_may_quote_its_own_text(void **state)
{
	struct err err = {"inner"};

	err_set(&err, EINVAL, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void prefix_keeps_the_result(void **state)
{
	struct err err = {"no such device"};

	assert_int_equal(err_prefix(&err, -ENODEV, "relay %d", 7), -ENODEV);
	assert_string_equal(err.text, "relay 7: no such device");
	assert_int_equal(err_prefix(NULL, -ENODEV, "relay %d", 7), -ENODEV);
}

static void long_texts_are_cut(void **state)
{
	char text[2 * ERR_TEXT_SIZE];
	struct err err;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
	err_prefix(&err, -EINVAL, "context");
	assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
	assert_memory_equal(err.text, "context: xxx", 12);
	err_prefix(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_negative_code),
		cmocka_unit_test(set_may_quote_its_own_text),
		cmocka_unit_test(prefix_keeps_the_result),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
