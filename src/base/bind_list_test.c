/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bind_list.h"

static void entries_are_cut_out(void **state)
{
	char list[] = " ens3,0000:01:02.3\t,\n,ens4:16 ", *rest = list;

	(void)state;
	assert_string_equal(bind_list_next(&rest), "ens3");
	assert_string_equal(bind_list_next(&rest), "0000:01:02.3");
	assert_string_equal(bind_list_next(&rest), "ens4:16");
	assert_null(bind_list_next(&rest));
}

static void entries_are_read(void **state)
{
	const struct pci_addr addr = {0, 1, 2, 3};
	struct bind_entry entry;

	(void)state;
	assert_int_equal(bind_entry_parse("01:02.3", &entry, NULL), 0);
	assert_true(entry.is_pci && pci_addr_equal(&entry.addr, &addr));
	assert_int_equal(bind_entry_parse("ens3", &entry, NULL), 0);
	assert_false(entry.is_pci);
	assert_string_equal(entry.netdev, "ens3");
	assert_int_equal(entry.n_vfs, 0);
	assert_int_equal(bind_entry_parse("a23456789012345:65535", &entry, NULL), 0);
	assert_string_equal(entry.netdev, "a23456789012345");
	assert_int_equal(entry.n_vfs, 65535);
}

static void others_are_refused(void **state)
{
	const char *const bad[] = {"", ":", ":1", "..", "../x", "ens3:", "ens3:0", "ens3:x",
		"ens3:65536", "ens3:1:1", "01:02.8", "a234567890123456", "a234567890123456:1"};
	struct bind_entry entry;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {""};
		if (bind_entry_parse(bad[i], &entry, &err) == 0 || !strstr(err.text, bad[i]))
			fail_msg("'%s': %s", bad[i], err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_cut_out),
		cmocka_unit_test(entries_are_read),
		cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
