/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A guest's memory as it is mapped here, and the log of the pages that are written to while the
 * guest migrates. Constant while lanes may use it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct guest_region {
	uint64_t gpa; /* guest physical address of its first byte */
	uint64_t bytes;
	uint8_t *host; /* where that byte is mapped here */
	/*
	 * Where the frontend has it mapped. If this changes, the library maps the region anew,
	 * perhaps at the same address, and so must the device (guest_dma.c).
	 */
	uint64_t uva;
};

struct guest_memory {
	unsigned n_regions;
	struct guest_region regions[MEMORY_REGIONS_MAX];
	uint8_t *log;       /* a bit for each page; NULL: nothing is logged */
	uint64_t log_bytes; /* writes beyond its end are not logged */
	uint32_t hugepages; /* a bit for each region that is in hugepages */
};

/*
 * Where the guest physical address `gpa` is mapped; NULL outside the guest's memory. Also tells how
 * many bytes of its region there are from that address on.
 */
static inline uint8_t *guest_memory_at(
	const struct guest_memory *memory, uint64_t gpa, uint64_t *ret_bytes)
{
	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t offset = gpa - region->gpa;
		if (offset < region->bytes) {
			*ret_bytes = region->bytes - offset;
			return region->host + offset;
		}
	}
	return NULL;
}

/* The guest physical address of what is mapped at `host`, or UINT64_MAX. */
uint64_t guest_memory_gpa(const struct guest_memory *memory, const void *host);

/* Notes that `bytes` from `gpa` on have been written, if there is a log. */
void guest_memory_log(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes);
