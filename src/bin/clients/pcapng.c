/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/clients/pcapng.h"

#include <string.h>

#define SECTION_HEADER 0x0a0d0d0au
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define INTERFACE_DESCRIPTION 1u
#define INTERFACE_STATISTICS 5u
#define ENHANCED_PACKET 6u
#define LINKTYPE_ETHERNET 1

enum {
	OPTION_END = 0,
	OPTION_SHB_USERAPPL = 4,
	OPTION_IF_NAME = 2,
	OPTION_IF_DESCRIPTION = 3,
	OPTION_IF_TSRESOL = 9,
	OPTION_ISB_IFRECV = 4,
	OPTION_ISB_IFDROP = 5,
};

struct option {
	uint16_t code;
	uint16_t length;
	const void *value;
};

static uint32_t padded(uint32_t length)
{
	return (length + 3) & ~UINT32_C(3);
}

static void put(FILE *out, const void *data, uint32_t length)
{
	static const uint8_t zeros[3];

	fwrite(data, 1, length, out);
	fwrite(zeros, 1, padded(length) - length, out);
}

static struct option text_option(uint16_t code, const char *text)
{
	return (struct option){.code = code, .length = (uint16_t)strlen(text), .value = text};
}

/* A block of a fixed part, data and options. */
static void put_block(FILE *out, uint32_t type, const void *fixed, uint32_t fixed_bytes,
	const struct option *options, unsigned n_options)
{
	const uint16_t end[2] = {OPTION_END, 0};
	uint32_t total = 12 + padded(fixed_bytes) + (n_options > 0 ? sizeof(end) : 0);

	for (unsigned i = 0; i < n_options; i++)
		total += 4 + padded(options[i].length);
	put(out, &type, sizeof(type));
	put(out, &total, sizeof(total));
	put(out, fixed, fixed_bytes);
	for (unsigned i = 0; i < n_options; i++) {
		put(out, &options[i].code, 2 * sizeof(uint16_t));
		put(out, options[i].value, options[i].length);
	}
	if (n_options > 0)
		put(out, end, sizeof(end));
	put(out, &total, sizeof(total));
}

void pcapng_begin(FILE *out, const char *program)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		int64_t length; /* -1: unknown */
	} fixed = {BYTE_ORDER_MAGIC, 1, 0, -1};
	const struct option option = text_option(OPTION_SHB_USERAPPL, program);

	put_block(out, SECTION_HEADER, &fixed, sizeof(fixed), &option, 1);
}

void pcapng_interface(FILE *out, const char *name, const char *description, uint32_t snaplen)
{
	const struct {
		uint16_t link_type, reserved;
		uint32_t snaplen;
	} fixed = {LINKTYPE_ETHERNET, 0, snaplen};
	const uint8_t nanoseconds = 9; /* 10^-9 */
	const struct option options[] = {
		text_option(OPTION_IF_NAME, name),
		text_option(OPTION_IF_DESCRIPTION, description),
		{OPTION_IF_TSRESOL, sizeof(nanoseconds), &nanoseconds},
	};

	put_block(out, INTERFACE_DESCRIPTION, &fixed, sizeof(fixed), options, 3);
}

void pcapng_packet(FILE *out, const struct pcapng_packet *packet)
{
	const uint32_t total = 32 + padded(packet->kept);
	const uint32_t head[] = {ENHANCED_PACKET, total, packet->interface,
		(uint32_t)(packet->time_ns >> 32), (uint32_t)packet->time_ns, packet->kept,
		packet->length};

	put(out, head, sizeof(head));
	put(out, packet->data, packet->kept);
	put(out, &total, sizeof(total));
}

void pcapng_statistics(
	FILE *out, uint32_t interface, uint64_t time_ns, uint64_t received, uint64_t lost)
{
	const uint32_t fixed[] = {interface, (uint32_t)(time_ns >> 32), (uint32_t)time_ns};
	const struct option options[] = {
		{OPTION_ISB_IFRECV, sizeof(received), &received},
		{OPTION_ISB_IFDROP, sizeof(lost), &lost},
	};

	put_block(out, INTERFACE_STATISTICS, fixed, sizeof(fixed), options, 2);
}
