/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Descriptors of a packed ring (virtio 1.2, 2.8). */

#include "core/ring/ring_internal.h"

#define F_AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED (1 << VRING_PACKED_DESC_F_USED)

/* A place in the ring: a descriptor number, and the wrap counter there. */
struct ring_place {
	uint16_t number;
	bool wrap;
};

/* The place `slots` descriptors, at most a ring of them, behind another one. */
static inline struct ring_place place_behind(
	const struct ring *ring, struct ring_place place, uint16_t slots)
{
	uint32_t number = place.number + (uint32_t)slots;

	if (number >= ring->size)
		return (struct ring_place){number - ring->size, !place.wrap};
	return (struct ring_place){number, place.wrap};
}

static inline struct ring_place place_at(const struct ring *ring, uint16_t slot)
{
	return place_behind(ring, (struct ring_place){ring->next, ring->wrap}, slot);
}

/* True if these are the flags of a descriptor that the guest has made available in this round. */
static inline bool is_available(uint16_t flags, bool wrap)
{
	return (flags & (F_AVAIL | F_USED)) == (wrap ? F_AVAIL : F_USED);
}

static inline uint16_t flags_at(const struct ring *ring, uint16_t number)
{
	return __atomic_load_n(&ring->packed_desc[number].flags, __ATOMIC_ACQUIRE);
}

static inline void log_descriptor(const struct ring *ring, const struct vring_packed_desc *at)
{
	guest_memory_log(ring->memory, guest_memory_gpa(ring->memory, at), sizeof(*at));
}

static inline void use_descriptor(
	struct ring *ring, struct ring_place place, const struct used *used)
{
	struct vring_packed_desc *at = &ring->packed_desc[place.number];
	uint16_t flags =
		(place.wrap ? F_AVAIL | F_USED : 0) | (used->bytes != 0 ? VRING_DESC_F_WRITE : 0);

	at->id = used->id;
	at->len = used->bytes;
	__atomic_store_n(&at->flags, flags, __ATOMIC_RELEASE);
	if (unlikely(ring->memory->log != NULL))
		log_descriptor(ring, at);
}
