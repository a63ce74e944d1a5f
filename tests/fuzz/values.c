/* SPDX-License-Identifier: BSD-3-Clause */
/* Short texts that name things: the first line is parsed as each of them, and formatted again. */
#include "base/cpu_set.h"
#include "base/device_id.h"
#include "base/ovsdb_endpoint.h"
#include "base/pci_addr.h"
#include "base/text.h"
#include "fuzz.h"

static void use_cpu_set(const char *text)
{
	char again[8192];
	struct cpu_set set, same;
	struct err err = {""};

	if (cpu_set_parse(text, &set, &err) < 0) {
		require(err.text[0]);
		return;
	}
	require(cpu_set_count(&set) > 0);
	cpu_set_format(&set, again, sizeof(again));
	require(cpu_set_parse(again, &same, NULL) == 0);
	require(memcmp(&set, &same, sizeof(set)) == 0);
}

static void use_pci_addr(const char *text)
{
	char again[PCI_ADDR_TEXT_SIZE];
	struct pci_addr addr, same;

	if (pci_addr_parse(text, &addr) < 0)
		return;
	require(pci_addr_valid(addr.bus, addr.slot, addr.function));
	pci_addr_format(&addr, again);
	require(pci_addr_parse(again, &same) == 0 && pci_addr_equal(&addr, &same));
	pci_addr_format_wire(&addr, again);
	require(pci_addr_parse(again, &same) == 0 && pci_addr_equal(&addr, &same));
}

static void use_device_id(const char *text)
{
	char wire[DEVICE_TEXT_SIZE];
	struct device_id id, same;
	struct err err = {""};

	if (device_id_parse(text, &id, &err) < 0) {
		require(err.text[0]);
		return;
	}
	device_id_format_wire(&id, wire);
	require(device_id_parse(wire, &same, NULL) == 0 && device_id_equal(&id, &same));
}

static void use_endpoint(const char *text)
{
	struct ovsdb_endpoint endpoint, same;
	struct err err = {""};

	if (ovsdb_endpoint_parse(text, &endpoint, &err) < 0) {
		require(err.text[0]);
		return;
	}
	require(endpoint.addr_size <= sizeof(endpoint.addr));
	require(ovsdb_endpoint_parse(endpoint.text, &same, NULL) == 0);
}

static void use_text(const char *text)
{
	char copy[64];

	text_copy(copy, sizeof(copy), text);
	require(strlen(copy) < sizeof(copy) && text_valid(copy));
	require(!text_valid(text) || strncmp(copy, text, strlen(copy)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	_cleanup_free_ char *text = input_line(&input);

	use_cpu_set(text);
	use_pci_addr(text);
	use_device_id(text);
	use_endpoint(text);
	use_text(text);
	return 0;
}
