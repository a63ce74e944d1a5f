/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/nul.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

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
		cmocka_unit_test(test_has_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
