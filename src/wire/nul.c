/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/nul.h"

#include <stdint.h>
#include <string.h>

/* Reads a varint at *at and advances past it; false if none ends before `end`. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool wire_has_nul(const void *data, size_t length, const unsigned *fields, size_t n_fields)
{
	const uint8_t *at = data, *end = at + length;
	uint64_t tag, size;

	while (at < end && read_varint(&at, end, &tag)) {
		switch (tag & 7) {
		case 0: /* varint */
			if (!read_varint(&at, end, &size))
				return false;
			continue;
		case 1: /* 64 bits */
			size = 8;
			break;
		case 2: /* length-delimited */
			if (!read_varint(&at, end, &size))
				return false;
			break;
		case 5: /* 32 bits */
			size = 4;
			break;
		default: /* groups: protobuf-c refuses the message */
			return false;
		}
		if (size > (uint64_t)(end - at))
			return false;
		for (size_t i = 0; i < n_fields; i++)
			if ((tag & 7) == 2 && tag >> 3 == fields[i] && memchr(at, 0, size))
				return true;
		at += size;
	}
	return false;
}
