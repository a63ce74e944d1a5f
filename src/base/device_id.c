/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/device_id.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool vdev_name_valid(const char *name)
{
	if (!starts_with(name, "net_") && !starts_with(name, "eth_"))
		return false;
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			return false;
	return true;
}

/*
 * Device arguments go to DPDK's parser and into log lines: they must not contain anything that
 * could break a line.
 */
static bool printable(const char *text)
{
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			return false;
	return true;
}

/*
 * Returns the first argument that is a key without a value, or NULL: some of DPDK's drivers would
 * read through the missing value. The parts of a list (representor=[0,1,2]) do not look like keys.
 */
static const char *key_without_value(const char *arguments)
{
	while (*arguments == ',') {
		const char *key = ++arguments;

		while (isalnum((unsigned char)*arguments) || *arguments == '_' || *arguments == '-')
			arguments++;
		if (isalpha((unsigned char)*key) && (*arguments == ',' || *arguments == '\0'))
			return key;
		arguments += strcspn(arguments, ",");
	}
	return NULL;
}

int device_id_parse(const char *text, struct device_id *ret_id, struct err *err)
{
	struct device_id id = {};
	size_t name_length = strcspn(text, ",");
	const char *arguments = text + name_length;
	const char *key = key_without_value(arguments);

	if (!printable(text))
		return err_set(err, EINVAL,
			"device '%s': holds a character that is not printable ASCII", text);
	if (name_length >= sizeof(id.name))
		return err_set(err, EINVAL,
			"device '%.*s...': the name is longer than %zu characters",
			(int)sizeof(id.name) - 1, text, sizeof(id.name) - 1);
	memcpy(id.name, text, name_length);

	if (pci_addr_parse(id.name, &id.pci) == 0) {
		id.is_pci = true;
		pci_addr_format(&id.pci, id.name);
	} else if (starts_with(id.name, "net_bonding")) {
		return err_set(err, EINVAL,
			"device '%s': names that start with net_bonding are kept for bonds",
			id.name);
	} else if (!vdev_name_valid(id.name)) {
		return err_set(err, EINVAL,
			"device '%s': neither a PCI address (0000:05:08.1) nor a DPDK device "
			"(net_af_packet0,iface=eth1)",
			id.name);
	}
	if (key)
		return err_set(err, EINVAL, "device '%s': its argument '%.*s' has no value",
			id.name, (int)strcspn(key, ","), key);
	if ((size_t)snprintf(id.text, sizeof(id.text), "%s%s", id.name, arguments) >=
		sizeof(id.text))
		return err_set(err, EINVAL, "device '%s': longer than %zu characters", id.name,
			sizeof(id.text) - 1);
	*ret_id = id;
	return 0;
}

void device_id_from_pci(const struct pci_addr *addr, struct device_id *ret_id)
{
	struct device_id id = {.is_pci = true, .pci = *addr};

	pci_addr_format(addr, id.name);
	pci_addr_format(addr, id.text);
	*ret_id = id;
}

bool device_id_equal(const struct device_id *a, const struct device_id *b)
{
	return strcmp(a->name, b->name) == 0;
}

void device_id_format_wire(const struct device_id *id, char ret_text[static DEVICE_TEXT_SIZE])
{
	if (id->is_pci)
		pci_addr_format_wire(&id->pci, ret_text);
	else
		memcpy(ret_text, id->text, DEVICE_TEXT_SIZE);
}
