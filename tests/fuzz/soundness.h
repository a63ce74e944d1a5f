/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the vhost library and the packet path take for granted about a guest, derived independently.
 */

#include "core/gate/gate_rules.h"
#include "fuzz.h"

static inline void require_in_memory(
	const struct gate_rules *rules, unsigned __int128 from, unsigned __int128 bytes)
{
	unsigned found = 0;

	for (unsigned i = 0; i < rules->memory.n_regions; i++) {
		const struct vhost_user_region *region = &rules->memory.regions[i];
		unsigned __int128 start = region->uva, end = start + region->bytes;

		found += from >= start && from + bytes <= end;
	}
	require(found == 1); /* in one region, and no two regions overlap */
}

static inline void require_sound(const struct gate_rules *rules)
{
	bool packed = rules->features & 1ULL << 34, iommu = rules->features & 1ULL << 33;

	require(rules->memory.n_regions <= MEMORY_REGIONS_MAX);
	for (unsigned i = 0; i < RINGS_MAX; i++) {
		const struct gate_ring *ring = &rules->rings[i];

		if (!ring->started)
			continue;
		require(ring->size >= GATE_RING_SIZE_MIN && ring->size <= GATE_RING_SIZE_MAX);
		require(packed || (ring->size & (ring->size - 1)) == 0);
		require(!packed || (ring->base & 0x7fff) < ring->size);
		if (iommu)
			continue;
		require(ring->addr.desc % 16 == 0 && ring->addr.used % 4 == 0);
		require(ring->addr.avail % (packed ? 4 : 2) == 0);
		require_in_memory(rules, ring->addr.desc, 16 * ring->size);
		require_in_memory(rules, ring->addr.avail, packed ? 4 : 6 + 2 * ring->size);
		require_in_memory(rules, ring->addr.used, packed ? 4 : 6 + 8 * ring->size);
	}
}
