/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Split rings (virtio 1.2, 2.7).
 */

#include "core/ring/ring_burst.h"

/*
 * How many buffers the guest has made available behind the position. The guest's index lies in a
 * cache line that the guest's CPU writes; it is read only if fewer than `wanted` are known of.
 */
static inline uint16_t available(struct ring *ring, uint16_t wanted)
{
	uint16_t known = ring->known - ring->next;

	if (likely(known >= wanted))
		return known;
	uint16_t index = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE),
		 n = index - ring->next;
	if (unlikely(n > ring->size || n < known)) {
		ring_retire(ring, RING_INDEX);
		return 0;
	}
	ring->known = index;
	return n;
}

static bool split_has_buffer(struct ring *ring, uint16_t slot)
{
	return available(ring, slot + 1) > slot;
}

static inline uint16_t head_at(const struct ring *ring, uint16_t slot)
{
	uint16_t index = (ring->next + slot) & (ring->size - 1);

	return __atomic_load_n(&ring->avail->ring[index], __ATOMIC_RELAXED);
}

static __rte_always_inline uint16_t split_read_run(struct ring *ring, uint16_t slot,
	struct simple *ret_buffers, uint16_t n, bool writable, bool *ret_more)
{
	uint16_t ready = available(ring, slot + n), heads[RING_BURST], run;

	*ret_more = false;
	if (ready <= slot)
		return 0;
	n = RTE_MIN(n, ready - slot);
	for (uint16_t i = 0; i < n; i++) {
		heads[i] = head_at(ring, slot + i);
		if (unlikely(heads[i] >= ring->size))
			n = i; /* read_chain() will find it */
		else
			rte_prefetch0(&ring->desc[heads[i]]);
	}
	for (run = 0; run < n; run++) {
		struct descriptor descriptor = split_descriptor(&ring->desc[heads[run]]);
		if (!simple_set(&ret_buffers[run], ring, &descriptor, heads[run], writable))
			break;
		simple_prefetch(&ret_buffers[run], writable);
	}
	*ret_more = slot + run < ready;
	return run;
}

static __rte_always_inline bool split_read_chain(
	struct ring *ring, uint16_t slot, struct chain *chain, bool writable, struct used *ret_used)
{
	/* For what the guest sends, split_read_run() has just read the index. */
	if (available(ring, writable ? slot + 1 : 0) <= slot)
		return false;
	uint16_t head = head_at(ring, slot), number = head;

	*ret_used = (struct used){.id = head, .n_slots = 1};
	for (uint16_t seen = 0; seen < ring->size; seen++) {
		if (unlikely(number >= ring->size)) {
			ring_retire(ring, RING_HEAD);
			return false;
		}
		struct descriptor descriptor = split_descriptor(&ring->desc[number]);
		if (descriptor.flags & VRING_DESC_F_INDIRECT)
			return chain_add_indirect(ring, chain, &descriptor, writable);
		if (!chain_add(ring, chain, &descriptor, writable))
			return false;
		if (chain->too_long || !(descriptor.flags & VRING_DESC_F_NEXT))
			return true;
		number = descriptor.number;
	}
	ring_retire(ring, RING_LOOP);
	return false;
}

/*
 * Logs pages only after everything in them has been written: a logged page may be copied at once
 * and counts as clean then.
 */
static void log_elements(const struct ring *ring, uint16_t n)
{
	uint64_t gpa = guest_memory_gpa(ring->memory, ring->used);
	const uint64_t element = sizeof(ring->used->ring[0]);

	for (uint16_t i = 0; i < n; i++) {
		uint16_t index = (ring->next + i) & (ring->size - 1);
		guest_memory_log(ring->memory,
			gpa + offsetof(struct vring_used, ring) + index * element, element);
	}
}

/*
 * The used_event field, behind the available ring: the guest wants to be called once the used index
 * has passed it.
 */
static uint16_t used_event(const struct ring *ring)
{
	return __atomic_load_n(&ring->avail->ring[ring->size], __ATOMIC_RELAXED);
}

static __rte_always_inline bool split_wants_call(
	const struct ring *ring, uint16_t before, bool first)
{
	if (ring->event_index)
		return first || event_is_due(used_event(ring), ring->next, before);
	return !(__atomic_load_n(&ring->avail->flags, __ATOMIC_RELAXED) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

static __rte_always_inline void split_prefetch_used(
	const struct ring *ring, uint16_t slot, uint16_t n)
{
	const uint16_t per_line = RTE_CACHE_LINE_SIZE / sizeof(ring->used->ring[0]);

	for (uint16_t i = 0; i < n; i += per_line)
		prefetch_to_write(&ring->used->ring[(ring->next + slot + i) & (ring->size - 1)]);
	prefetch_to_write(&ring->used->ring[(ring->next + slot + n - 1) & (ring->size - 1)]);
}

static __rte_always_inline void split_write_used(
	struct ring *ring, const struct used *used, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint16_t index = (ring->next + i) & (ring->size - 1);
		ring->used->ring[index] = (struct vring_used_elem){used[i].id, used[i].bytes};
	}
	if (unlikely(ring->memory->log != NULL))
		log_elements(ring, n);
	ring->next += n;
}

static __rte_always_inline void split_show_used(struct ring *ring)
{
	__atomic_store_n(&ring->used->idx, ring->next, __ATOMIC_RELEASE);
	if (unlikely(ring->memory->log != NULL))
		guest_memory_log(ring->memory, guest_memory_gpa(ring->memory, ring->used),
			sizeof(*ring->used));
}

static const struct ring_kind split = {split_read_run, split_read_chain, split_has_buffer,
	split_prefetch_used, split_write_used, split_show_used, split_wants_call};

uint16_t ring_split_take(struct ring *ring, struct rte_mempool *pool, struct rte_mbuf **ret_packets,
	uint16_t n, struct burst_account *account)
{
	return burst_take(&split, ring, pool, false, NULL, ret_packets, n, account);
}

uint16_t ring_split_lend(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account)
{
	return burst_take(&split, ring, pool, true, lender, ret_packets, n, account);
}

void ring_split_show_held(struct ring *ring)
{
	show_used(&split, ring);
}

void ring_split_give_back_all(struct ring *ring)
{
	give_back_loans(&split, ring, true);
}

uint16_t ring_split_give(
	struct ring *ring, struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	return burst_give(&split, ring, packets, n, account);
}

void ring_split_ask_to_notify(struct ring *ring, bool on)
{
	uint16_t *avail_event = (uint16_t *)&ring->used->ring[ring->size];
	uint64_t gpa = guest_memory_gpa(ring->memory, ring->used);

	if (!ring->event_index) {
		ring->used->flags = on ? 0 : VRING_USED_F_NO_NOTIFY;
	} else if (on) {
		/* With the event index, a guest notifies once, when it reaches this index. */
		*avail_event = ring->next + ring_slots_kept(ring);
		guest_memory_log(ring->memory,
			gpa + ((uintptr_t)avail_event - (uintptr_t)ring->used),
			sizeof(*avail_event));
	}
	guest_memory_log(ring->memory, gpa, sizeof(*ring->used));
}
