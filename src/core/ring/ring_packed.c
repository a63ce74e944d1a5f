/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Packed rings (virtio 1.2, 2.8).
 */

#include "core/ring/ring_packed.h"
#include "core/ring/ring_burst.h"

static inline bool packed_has_buffer(struct ring *ring, uint16_t slot)
{
	if (unlikely(slot >= ring->size))
		return false;
	struct ring_place place = place_at(ring, slot);
	return is_available(flags_at(ring, place.number), place.wrap);
}

static __rte_always_inline uint16_t packed_read_run(struct ring *ring, uint16_t slot,
	struct simple *ret_buffers, uint16_t n, bool writable, bool *ret_more)
{
	uint16_t run;

	*ret_more = false;
	if (unlikely(slot >= ring->size))
		return 0;
	n = RTE_MIN(n, ring->size - slot);
	struct ring_place place = place_at(ring, slot);
	for (run = 0; run < n; run++) {
		const struct vring_packed_desc *at = &ring->packed_desc[place.number];
		if (!is_available(flags_at(ring, place.number), place.wrap))
			break;
		struct descriptor descriptor = packed_descriptor(at);
		if (!simple_set(
			    &ret_buffers[run], ring, &descriptor, descriptor.number, writable)) {
			*ret_more = true;
			break;
		}
		simple_prefetch(&ret_buffers[run], writable);
		if (unlikely(++place.number == ring->size))
			place = (struct ring_place){0, !place.wrap};
	}
	return run;
}

/* The descriptors of a chain follow one another; the last one holds the buffer's id. */
static __rte_always_inline bool packed_read_chain(
	struct ring *ring, uint16_t slot, struct chain *chain, bool writable, struct used *ret_used)
{
	if (!packed_has_buffer(ring, slot))
		return false;
	struct ring_place place = place_at(ring, slot);
	for (uint16_t seen = 1; slot + seen <= ring->size; seen++) {
		struct descriptor descriptor = packed_descriptor(&ring->packed_desc[place.number]);
		bool indirect = descriptor.flags & VRING_DESC_F_INDIRECT;
		bool sound = indirect ? chain_add_indirect(ring, chain, &descriptor, writable)
		                      : chain_add(ring, chain, &descriptor, writable);
		*ret_used = (struct used){.id = descriptor.number, .n_slots = seen};
		if (!sound || indirect || !(descriptor.flags & VRING_DESC_F_NEXT))
			return sound;
		if (++place.number == ring->size)
			place.number = 0;
	}
	ring_retire(ring, RING_LOOP);
	return false;
}

static __rte_always_inline bool packed_wants_call(
	const struct ring *ring, uint16_t before, bool first)
{
	uint16_t flags = __atomic_load_n(&ring->driver_event->flags, __ATOMIC_ACQUIRE);

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (first)
		return true;
	uint16_t event = __atomic_load_n(&ring->driver_event->off_wrap, __ATOMIC_RELAXED);
	bool wrap = event >> VRING_PACKED_EVENT_F_WRAP_CTR;
	event &= (1 << VRING_PACKED_EVENT_F_WRAP_CTR) - 1;
	if (ring->next <= before)
		before -= ring->size;
	if (wrap != ring->wrap)
		event -= ring->size;
	return event_is_due(event, ring->next, before);
}

/*
 * One used descriptor is enough for buffers that the guest sends in order: at the place of the
 * first, with the id of the last (virtio 1.2, 2.8.13). The cache lines between need not be
 * written. The last descriptor is marked as well, with the number of slots as its length. The
 * driver does not read it; it is for a backend that has to find the position (ring_position.c).
 * Returns the number of slots.
 */
static __rte_always_inline uint16_t use_burst(
	struct ring *ring, const struct used *used, uint16_t n)
{
	struct used burst = {.id = used[n - 1].id};

	for (uint16_t i = 0; i < n; i++)
		burst.n_slots += used[i].n_slots;
	if (burst.n_slots > 1)
		use_descriptor(ring, place_at(ring, burst.n_slots - 1),
			&(struct used){.id = burst.id, .bytes = burst.n_slots});
	use_descriptor(ring, place_at(ring, 0), &burst);
	return burst.n_slots;
}

/* The first buffer is given back last: until the guest sees it used, it looks no further. */
static __rte_always_inline uint16_t use_each(struct ring *ring, const struct used *used, uint16_t n)
{
	uint16_t slot = used[0].n_slots;

	for (uint16_t i = 1; i < n; i++) {
		use_descriptor(ring, place_at(ring, slot), &used[i]);
		slot += used[i].n_slots;
	}
	use_descriptor(ring, place_at(ring, 0), &used[0]);
	return slot;
}

static __rte_always_inline void packed_write_used(
	struct ring *ring, const struct used *used, uint16_t n)
{
	uint16_t slots = ring->in_order ? use_burst(ring, used, n) : use_each(ring, used, n);
	struct ring_place next = place_at(ring, slots);

	ring->next = next.number;
	ring->wrap = next.wrap;
}

static const struct ring_kind packed = {packed_read_run, packed_read_chain, packed_has_buffer, NULL,
	packed_write_used, NULL, packed_wants_call};

uint16_t ring_packed_take(struct ring *ring, struct rte_mempool *pool,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account)
{
	return burst_take(&packed, ring, pool, false, NULL, ret_packets, n, account);
}

uint16_t ring_packed_lend(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account)
{
	return burst_take(&packed, ring, pool, true, lender, ret_packets, n, account);
}

void ring_packed_give_back_all(struct ring *ring)
{
	give_back_loans(&packed, ring, true);
}

uint16_t ring_packed_give(
	struct ring *ring, struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	return burst_give(&packed, ring, packets, n, account);
}

void ring_packed_ask_to_notify(struct ring *ring, bool on)
{
	uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

	if (on && ring->event_index) {
		struct ring_place place = place_at(ring, ring_slots_kept(ring));
		ring->device_event->off_wrap =
			place.number | place.wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	} else if (on) {
		flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	}
	__atomic_store_n(&ring->device_event->flags, flags, __ATOMIC_RELEASE);
	guest_memory_log(ring->memory, guest_memory_gpa(ring->memory, ring->device_event),
		sizeof(*ring->device_event));
}
