/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Lists in the form of VIRTIOFWD_BIND_VFIO_PCI: "ens3,0000:01:02.3,01:02.4,ens4:16". */

#include <net/if.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/pci_addr.h"

struct bind_entry {
	bool is_pci;
	struct pci_addr addr;  /* if is_pci */
	char netdev[IFNAMSIZ]; /* else */
	unsigned n_vfs;        /* 0: no number was given */
};

/*
 * The next entry of a list, without surrounding blanks; NULL at the end. Skips empty entries. Cuts
 * the text, and moves *rest behind the entry.
 */
char *bind_list_next(char **rest);

/* Reads one entry. -EINVAL if it is none; whether there is such a device is not looked at. */
int bind_entry_parse(const char *text, struct bind_entry *ret_entry, struct err *err);
