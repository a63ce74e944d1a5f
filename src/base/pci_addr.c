/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pci_addr.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Reads 1..max_digits hex digits and advances *text behind them. */
static bool read_hex(const char **text, unsigned max_digits, uint32_t *ret_value)
{
	uint32_t value = 0;
	unsigned n = 0;

	for (; isxdigit((unsigned char)**text); (*text)++) {
		int c = tolower((unsigned char)**text);

		if (++n > max_digits)
			return false;
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret_value = value;
	return n > 0;
}

static bool skip(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

int pci_addr_parse(const char *text, struct pci_addr *ret_addr)
{
	uint32_t fields[3], function;
	unsigned n = 0;

	do {
		if (n == 3 || !read_hex(&text, 8, &fields[n++]))
			return -EINVAL;
	} while (skip(&text, ':'));
	if (n < 2 || !skip(&text, '.') || !read_hex(&text, 1, &function) || *text)
		return -EINVAL;

	uint32_t domain = n == 3 ? fields[0] : 0, bus = fields[n - 2], slot = fields[n - 1];

	if (!pci_addr_valid(bus, slot, function))
		return -EINVAL;
	*ret_addr = (struct pci_addr){domain, (uint8_t)bus, (uint8_t)slot, (uint8_t)function};
	return 0;
}

bool pci_addr_valid(uint32_t bus, uint32_t slot, uint32_t function)
{
	return bus <= 0xff && slot <= 0x1f && function <= 7;
}

/* A number with the order of the addresses. */
static uint64_t rank(const struct pci_addr *addr)
{
	return (uint64_t)addr->domain << 16 | addr->bus << 8 | addr->slot << 3 | addr->function;
}

int pci_addr_compare(const struct pci_addr *a, const struct pci_addr *b)
{
	return (rank(a) > rank(b)) - (rank(a) < rank(b));
}

bool pci_addr_equal(const struct pci_addr *a, const struct pci_addr *b)
{
	return pci_addr_compare(a, b) == 0;
}

void pci_addr_format(const struct pci_addr *addr, char ret_text[static PCI_ADDR_TEXT_SIZE])
{
	snprintf(ret_text, PCI_ADDR_TEXT_SIZE, "%04" PRIx32 ":%02x:%02x.%u", addr->domain,
		addr->bus, addr->slot & 0x1fu, addr->function & 7u);
}

void pci_addr_format_wire(const struct pci_addr *addr, char ret_text[static PCI_ADDR_TEXT_SIZE])
{
	snprintf(ret_text, PCI_ADDR_TEXT_SIZE, "%04" PRIX32 ":%02X:%02X.%u", addr->domain,
		addr->bus, addr->slot & 0x1fu, addr->function & 7u);
}
