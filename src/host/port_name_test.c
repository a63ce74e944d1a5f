/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "host/port_name.h"

static void port_names_are_read(void **state)
{
	const struct {
		const char *text;
		struct port_name name;
	} good[] = {
		{"pf0vf3", {-1, 0, 3, false}},
		{"pf1vf127", {-1, 1, 127, false}},
		{"c1pf0vf3", {1, 0, 3, true}},
		{"pf2c1vf3", {1, 2, 3, false}},
		{"p0pf1vf3", {-1, 1, 3, false}},
		{"vf3", {-1, -1, 3, false}},
		{"12", {-1, -1, 12, false}},
	};
	const char *const bad[] = {"", "p0", "p0s1", "pf0", "n0", "c1pf0", "pf0sf3", "c1pf0sf3",
		"vf", "vf3x", "vf3vf4", "3 4", "-1", "pfvf3", "vf99999", "vf18446744073709551617",
		"pf0pf1vf2", "eth0"};
	struct port_name name;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(port_name_parse(good[i].text, &name), 0);
		assert_int_equal(name.controller, good[i].name.controller);
		assert_int_equal(name.pf, good[i].name.pf);
		assert_int_equal(name.vf, good[i].name.vf);
		assert_int_equal(name.external, good[i].name.external);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(port_name_parse(bad[i], &name), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_names_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
