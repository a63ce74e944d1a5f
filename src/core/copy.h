/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_memcpy.h>
#include <stdint.h>
#include <string.h>

/* From so many bytes on the call costs less than what the C library does better. */
#define COPY_LONG 128

/*
 * Copies bytes of a packet. Long runs as the C library does it on this CPU: with its widest
 * registers, or with one instruction that need not read what it overwrites.
 */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	if (bytes >= COPY_LONG)
		memcpy(to, from, bytes);
	else
		rte_memcpy(to, from, bytes);
}
