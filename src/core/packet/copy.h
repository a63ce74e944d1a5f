/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_memcpy.h>
#include <stdint.h>
#include <string.h>

/* From this many bytes on, the C library's better copy is worth the function call. */
#define COPY_LONG 128

/*
 * Copies bytes of a packet. Long runs go to the C library, which picks the best way for this CPU:
 * its widest registers, or an instruction that need not read what it overwrites.
 */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	if (bytes >= COPY_LONG)
		memcpy(to, from, bytes);
	else
		rte_memcpy(to, from, bytes);
}
