/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/guest_memory.h"

#define LOG_PAGE_BYTES 4096 /* vhost-user specification, "Migration" */

uint64_t guest_memory_gpa(const struct guest_memory *memory, const void *host)
{
	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t offset = (uintptr_t)host - (uintptr_t)region->host;
		if (offset < region->bytes)
			return region->gpa + offset;
	}
	return UINT64_MAX;
}

void guest_memory_log(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes)
{
	if (memory->log == NULL || bytes == 0 || gpa + bytes < gpa)
		return;
	for (uint64_t page = gpa / LOG_PAGE_BYTES; page <= (gpa + bytes - 1) / LOG_PAGE_BYTES;
		page++)
		if (page / 8 < memory->log_bytes)
			__atomic_fetch_or(&memory->log[page / 8], 1u << page % 8, __ATOMIC_RELEASE);
}
