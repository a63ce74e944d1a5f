/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A PCI address: domain:bus:slot.function. */
struct pci_addr {
	uint32_t domain;  /* 0..0xffffffff (VMD and Hyper-V use more than 16 bits) */
	uint8_t bus;      /* 0..0xff */
	uint8_t slot;     /* 0..0x1f */
	uint8_t function; /* 0..7 */
};

#define PCI_ADDR_TEXT_SIZE sizeof("ffffffff:ff:1f.7")

/*
 * Reads "DDDD:BB:SS.F" or "BB:SS.F" (domain 0), in hex of either case, and nothing else. Returns 0,
 * or -EINVAL with *ret_addr untouched.
 */
int pci_addr_parse(const char *text, struct pci_addr *ret_addr);

/*
 * True if the numbers are in range, as is every domain; for addresses that come as numbers from the
 * wire.
 */
bool pci_addr_valid(uint32_t bus, uint32_t slot, uint32_t function);

/* Negative, 0 or positive, like strcmp(): by domain, then bus, slot and function. */
int pci_addr_compare(const struct pci_addr *a, const struct pci_addr *b);

bool pci_addr_equal(const struct pci_addr *a, const struct pci_addr *b);

/* The kernel's and DPDK's form, lower case: "0000:05:08.1". */
void pci_addr_format(const struct pci_addr *addr, char ret_text[static PCI_ADDR_TEXT_SIZE]);

/* The form of the port-control and stats messages, upper case: "0000:0A:08.1". */
void pci_addr_format_wire(const struct pci_addr *addr, char ret_text[static PCI_ADDR_TEXT_SIZE]);
