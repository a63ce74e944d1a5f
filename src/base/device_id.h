/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The name by which an operator refers to a network device: a PCI address, or a DPDK virtual device
 * string ("net_af_packet0,iface=veth0").
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/pci_addr.h"

#define DEVICE_TEXT_SIZE 256
#define DEVICE_NAME_SIZE 64 /* RTE_ETH_NAME_MAX_LEN */

struct device_id {
	bool is_pci;
	struct pci_addr pci;         /* if is_pci */
	char text[DEVICE_TEXT_SIZE]; /* canonical: "0000:05:08.1", or the string as given */
	char name[DEVICE_NAME_SIZE]; /* DPDK's port name: text up to the first comma */
};

/*
 * Reads a PCI address or a virtual device string. A PCI address may have the short form, and device
 * arguments after a comma ("05:08.1,representor=0"). A virtual device's name must start with "net_"
 * or "eth_" and contain only letters, digits, '_', '-' and '.'. An argument must have a value.
 * Names that start with "net_bonding" are reserved for bonds and refused here.
 */
int device_id_parse(const char *text, struct device_id *ret_id, struct err *err);

/* The device at a PCI address. */
void device_id_from_pci(const struct pci_addr *addr, struct device_id *ret_id);

/* True if both refer to the same device (the same port name). */
bool device_id_equal(const struct device_id *a, const struct device_id *b);

/* The form used on the wire: PCI addresses in upper case, other devices as their whole text. */
void device_id_format_wire(const struct device_id *id, char ret_text[static DEVICE_TEXT_SIZE]);
