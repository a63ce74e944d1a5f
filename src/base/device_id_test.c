/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/device_id.h"

static void reads(void **state)
{
	static const struct {
		const char *given;
		bool is_pci;
		const char *text, *name, *wire;
	} cases[] = {
		{"0000:0A:08.1", true, "0000:0a:08.1", "0000:0a:08.1", "0000:0A:08.1"},
		{"0a:08.1", true, "0000:0a:08.1", "0000:0a:08.1", "0000:0A:08.1"},
		{"05:08.1,representor=0", true, "0000:05:08.1,representor=0", "0000:05:08.1",
			"0000:05:08.1"},
		{"05:08.1,representor=pf[0,1,2]vf[0-3],x=1", true,
			"0000:05:08.1,representor=pf[0,1,2]vf[0-3],x=1", "0000:05:08.1",
			"0000:05:08.1"},
		{"net_null0", false, "net_null0", "net_null0", "net_null0"},
		{"net_null0,size=,", false, "net_null0,size=,", "net_null0", "net_null0,size=,"},
		{"net_failsafe0,dev(net_tap0,iface=x)", false,
			"net_failsafe0,dev(net_tap0,iface=x)", "net_failsafe0",
			"net_failsafe0,dev(net_tap0,iface=x)"},
		{"net_af_packet0,iface=veth0,blocksz=4096", false,
			"net_af_packet0,iface=veth0,blocksz=4096", "net_af_packet0",
			"net_af_packet0,iface=veth0,blocksz=4096"},
		{"eth_x-1.2", false, "eth_x-1.2", "eth_x-1.2", "eth_x-1.2"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char wire[DEVICE_TEXT_SIZE];
		struct device_id id;

		assert_int_equal(device_id_parse(cases[i].given, &id, NULL), 0);
		assert_int_equal(id.is_pci, cases[i].is_pci);
		assert_string_equal(id.text, cases[i].text);
		assert_string_equal(id.name, cases[i].name);
		device_id_format_wire(&id, wire);
		assert_string_equal(wire, cases[i].wire);
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *given, *reason;
	} cases[] = {
		{"", "neither a PCI address"},
		{"eth0", "neither a PCI address"},
		{"0000:05:20.1", "'0000:05:20.1': neither a PCI address"},
		{",iface=x", "neither a PCI address"},
		{"net_x y", "neither a PCI address"},
		{"net_x;y", "neither a PCI address"},
		{"net_bonding0,mode=1", "kept for bonds"},
		{"net_null0,a=\n", "not printable"},
		{"net_af_packet0,iface", "argument 'iface' has no value"},
		{"net_af_packet0,iface,blocksz=4096", "argument 'iface' has no value"},
		{"net_memif0,id=1,,role", "argument 'role' has no value"},
		{"05:08.1,representor=[0,1],x", "argument 'x' has no value"},
		{"net_af_packet0,iface=x[,framesz,blocksz=]", "argument 'framesz' has no value"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct device_id id = {.text = "untouched"};
		struct err err = {};

		assert_int_equal(device_id_parse(cases[i].given, &id, &err), -EINVAL);
		assert_string_equal(id.text, "untouched");
		assert_non_null(strstr(err.text, cases[i].reason));
	}
}

static void limits(void **state)
{
	char text[DEVICE_TEXT_SIZE + 1] = "net_";
	struct device_id id;

	memset(text + 4, 'a', DEVICE_NAME_SIZE - 5);
	assert_int_equal(device_id_parse(text, &id, NULL), 0);
	assert_string_equal(id.name, text);
	text[DEVICE_NAME_SIZE - 1] = 'a';
	assert_int_equal(device_id_parse(text, &id, NULL), -EINVAL);

	memset(text + 8, 'a', DEVICE_TEXT_SIZE - 9);
	memcpy(text + 8, ",a=", 3);
	assert_int_equal(device_id_parse(text, &id, NULL), 0);
	assert_string_equal(id.text, text);
	text[DEVICE_TEXT_SIZE - 1] = 'a';
	assert_int_equal(device_id_parse(text, &id, NULL), -EINVAL);
}

static void equality_is_that_of_the_port(void **state)
{
	struct device_id a, b, c;
	struct pci_addr addr = {0, 5, 8, 1};

	assert_int_equal(device_id_parse("05:08.1,x=1", &a, NULL), 0);
	device_id_from_pci(&addr, &b);
	assert_true(device_id_equal(&a, &b));
	assert_true(b.is_pci);
	assert_string_equal(b.text, "0000:05:08.1");
	assert_int_equal(device_id_parse("05:08.2", &c, NULL), 0);
	assert_false(device_id_equal(&a, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(limits),
		cmocka_unit_test(equality_is_that_of_the_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
