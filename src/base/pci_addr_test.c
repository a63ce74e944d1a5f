/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pci_addr.h"
#include "base/util.h"

static void reads_and_formats(void **state)
{
	static const struct {
		const char *text, *kernel, *wire;
	} cases[] = {
		{"0000:05:08.1", "0000:05:08.1", "0000:05:08.1"},
		{"05:08.1", "0000:05:08.1", "0000:05:08.1"},
		{"aBcD:fA:1e.7", "abcd:fa:1e.7", "ABCD:FA:1E.7"},
		{"10000:e1:00.0", "10000:e1:00.0", "10000:E1:00.0"},
		{"ffffffff:ff:1f.7", "ffffffff:ff:1f.7", "FFFFFFFF:FF:1F.7"},
		{"0:a:b.0", "0000:0a:0b.0", "0000:0A:0B.0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[PCI_ADDR_TEXT_SIZE];
		struct pci_addr addr;

		assert_int_equal(pci_addr_parse(cases[i].text, &addr), 0);
		pci_addr_format(&addr, text);
		assert_string_equal(text, cases[i].kernel);
		pci_addr_format_wire(&addr, text);
		assert_string_equal(text, cases[i].wire);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {"", "0", "0.0", ":", "0000:05:08", "0000:05:08.",
		"0000:05:08.8", "0000:05:20.1", "0000:100:08.1", "0:0000:05:08.1",
		"123456789:05:08.1", "0000:05:08.1 ", " 0000:05:08.1", "0000:05:08.11",
		"0000:05:08.1,x", "0000:05:08:1", "0x0:05:08.1", "0000::08.1", "-1:05:08.1",
		"0000:05:g8.1"};
	struct pci_addr addr = {1, 2, 3, 4}, before = addr;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(pci_addr_parse(cases[i], &addr), -EINVAL);
		assert_true(pci_addr_equal(&addr, &before));
	}
}

static void ranges(void **state)
{
	assert_true(pci_addr_valid(0xff, 0x1f, 7));
	assert_false(pci_addr_valid(0x100, 0, 0));
	assert_false(pci_addr_valid(0, 0x20, 0));
	assert_false(pci_addr_valid(0, 0, 8));
}

static void equality(void **state)
{
	struct pci_addr a = {1, 2, 3, 4};

	assert_true(pci_addr_equal(&a, &a));
	assert_false(pci_addr_equal(&a, &(struct pci_addr){0, 2, 3, 4}));
	assert_false(pci_addr_equal(&a, &(struct pci_addr){1, 0, 3, 4}));
	assert_false(pci_addr_equal(&a, &(struct pci_addr){1, 2, 0, 4}));
	assert_false(pci_addr_equal(&a, &(struct pci_addr){1, 2, 3, 0}));
}

static void order(void **state)
{
	static const struct pci_addr ascending[] = {{0, 0xff, 0x1f, 7}, {1, 0, 0, 0}, {1, 0, 0, 7},
		{1, 0, 1, 0}, {1, 0, 0x1f, 7}, {1, 1, 0, 0}, {0xffffffff, 0, 0, 0}};

	for (size_t i = 1; i < ARRAY_SIZE(ascending); i++) {
		assert_true(pci_addr_compare(&ascending[i - 1], &ascending[i]) < 0);
		assert_true(pci_addr_compare(&ascending[i], &ascending[i - 1]) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_formats),
		cmocka_unit_test(refuses),
		cmocka_unit_test(ranges),
		cmocka_unit_test(equality),
		cmocka_unit_test(order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
