/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/bind_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/netdev_name.h"
#include "base/number.h"

#define VFS_MAX 65535

char *bind_list_next(char **rest)
{
	char *entry;

	do
		entry = strsep(rest, ", \t\n");
	while (entry && !*entry);
	return entry;
}

int bind_entry_parse(const char *text, struct bind_entry *ret_entry, struct err *err)
{
	const size_t length = strcspn(text, ":");
	struct bind_entry entry = {0};

	entry.is_pci = pci_addr_parse(text, &entry.addr) == 0;
	if (!entry.is_pci) {
		snprintf(entry.netdev, sizeof(entry.netdev), "%.*s", (int)length, text);
		if (length >= sizeof(entry.netdev) || !netdev_name_valid(entry.netdev))
			return err_set(err, EINVAL,
				"\"%s\" is neither a PCI address nor an interface", text);
		if (text[length] == ':' &&
			(number_parse(text + length + 1, VFS_MAX, &entry.n_vfs) < 0 ||
				entry.n_vfs == 0))
			return err_set(err, EINVAL,
				"\"%s\" is neither a PCI address nor an interface with a number "
				"of VFs",
				text);
	}
	*ret_entry = entry;
	return 0;
}
