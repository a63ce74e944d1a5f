/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/print.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "virtioforwarder.pb-c.h"

static void test_float(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0.0, "0.0"},
		{-0.0, "-0.0"},
		{1.0, "1.0"},
		{12.5, "12.5"},
		{100.0, "100.0"},
		{123456789.0, "123456789.0"},
		{0.1, "0.1"},
		{0.1f, "0.10000000149011612"},
		{0.0001, "0.0001"},
		{0.00012345, "0.00012345"},
		{0.00001, "1e-05"},
		{1.5e-7, "1.5e-07"},
		{1e15, "1000000000000000.0"},
		{1e16, "1e+16"},
		{123456789012345680.0, "1.2345678901234568e+17"},
		{1e22, "1e+22"},
		{DBL_MAX, "1.7976931348623157e+308"},
		{-DBL_MIN, "-2.2250738585072014e-308"},
		{1234567890123456.7, "1234567890123456.8"},
	};
	char text[PRINT_FLOAT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_float(cases[i].value, text);
		assert_string_equal(text, cases[i].text);
	}
	print_float((double)INFINITY, text);
	assert_string_equal(text, "inf");
	print_float((double)NAN, text);
	assert_string_equal(text, "nan");
}

static void check_printed(const ProtobufCMessage *message, bool extensions, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print_protobuf(out, message, extensions);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_protobuf(void **state)
{
	Virtioforwarder__PortControlRequest__PciAddress address =
		VIRTIOFORWARDER__PORT_CONTROL_REQUEST__PCI_ADDRESS__INIT;
	Virtioforwarder__PortControlRequest__PciAddress *addresses[] = {&address, &address};
	Virtioforwarder__PortControlRequest request = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__INIT;

	address.bus = 5;
	request.op = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD_SOCK;
	request.pci_addrs = addresses;
	request.n_pci_addrs = 2;
	request.has_conditional = true;
	request.conditional = false;
	request.name = (char *)"a\"b\\\n\xc3\xa9";
	request.ident = (char *)"x";
	check_printed(&request.base, false,
		"op: ADD_SOCK\n"
		"pci_addrs {\n  domain: 0\n  bus: 5\n  slot: 0\n  function: 0\n}\n"
		"pci_addrs {\n  domain: 0\n  bus: 5\n  slot: 0\n  function: 0\n}\n"
		"conditional: false\n"
		"name: \"a\\\"b\\\\\\012\\303\\251\"\n");
	request.n_pci_addrs = 0;
	request.name = NULL;
	check_printed(&request.base, true, "op: ADD_SOCK\nconditional: false\nident: \"x\"\n");
}

static void test_json(void **state)
{
	Virtioforwarder__CoreSchedResponse response = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__INIT;
	uint32_t cores[] = {1, 4000000000};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	response.status = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK;
	response.n_eal_cores = 2;
	response.eal_cores = cores;
	assert_int_equal(print_json(out, &response.base), 0);
	fclose(out);
	assert_string_equal(text,
		"{\n  \"status\": \"OK\",\n  \"eal_cores\": [\n    1,\n    4000000000\n  ]\n}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_float),
		cmocka_unit_test(test_protobuf),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
