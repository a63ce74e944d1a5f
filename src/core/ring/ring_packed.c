/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Packed rings (virtio 1.2, 2.8).
 */

#include "core/ring/ring_burst.h"

#define F_AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED (1 << VRING_PACKED_DESC_F_USED)

/* A place in the ring: a descriptor number, and the wrap counter there. */
struct place {
	uint16_t number;
	bool wrap;
};

static inline struct place place_at(const struct ring *ring, uint16_t slot)
{
	uint32_t number = ring->next + (uint32_t)slot;
	struct place place = {number, ring->wrap};

	if (number >= ring->size) {
		place.number = number - ring->size;
		place.wrap = !ring->wrap;
	}
	return place;
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

static __rte_always_inline uint16_t packed_read_run(struct ring *ring, uint16_t slot,
	struct simple *ret_buffers, uint16_t n, bool writable, bool *ret_more)
{
	uint16_t run;

	*ret_more = false;
	if (unlikely(slot >= ring->size))
		return 0;
	n = RTE_MIN(n, ring->size - slot);
	struct place place = place_at(ring, slot);
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
			place = (struct place){0, !place.wrap};
	}
	return run;
}

/* The descriptors of a chain follow one another; the last one holds the buffer's id. */
static __rte_always_inline bool packed_read_chain(
	struct ring *ring, uint16_t slot, struct chain *chain, bool writable, struct used *ret_used)
{
	if (unlikely(slot >= ring->size))
		return false;
	struct place place = place_at(ring, slot);
	if (!is_available(flags_at(ring, place.number), place.wrap))
		return false;
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

static void log_descriptor(const struct ring *ring, const struct vring_packed_desc *at)
{
	guest_memory_log(ring->memory, guest_memory_gpa(ring->memory, at), sizeof(*at));
}

static inline void use_descriptor(struct ring *ring, struct place place, const struct used *used)
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

/* The first buffer is given back last: until the guest sees it used, it looks no further. */
static __rte_always_inline void packed_give_back(
	struct ring *ring, const struct used *used, uint16_t n)
{
	struct place first = place_at(ring, 0);
	uint16_t slot = used[0].n_slots;

	for (uint16_t i = 1; i < n; i++) {
		use_descriptor(ring, place_at(ring, slot), &used[i]);
		slot += used[i].n_slots;
	}
	use_descriptor(ring, first, &used[0]);
	struct place next = place_at(ring, slot);
	ring->next = next.number;
	ring->wrap = next.wrap;
}

static const struct ring_kind packed = {
	packed_read_run, packed_read_chain, packed_give_back, packed_wants_call};

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
		struct place place = place_at(ring, ring_slots_out(ring));
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

static bool is_start(const struct ring *ring)
{
	return ring->next == 0 && ring->wrap;
}

/* The place of a descriptor whose used flag says that the device will use it next. */
static struct place unused_place(const struct ring *ring, uint16_t number)
{
	return (struct place){number, !(flags_at(ring, number) & F_USED)};
}

/* How far it is from one descriptor on to another. */
static uint16_t distance(const struct ring *ring, uint16_t from, uint16_t to)
{
	return to >= from ? to - from : to + ring->size - from;
}

#define TURNS_MAX 3

/*
 * Finds the descriptors whose used flag differs from that of the one before them, seen from the
 * same round. Returns how many, TURNS_MAX + 1 for more.
 */
static unsigned find_turns(const struct ring *ring, uint16_t turns[TURNS_MAX])
{
	bool before = !(flags_at(ring, ring->size - 1) & F_USED);
	unsigned n = 0;

	for (uint16_t i = 0; i < ring->size; i++) {
		bool used = flags_at(ring, i) & F_USED;
		if (used != before) {
			if (n == TURNS_MAX)
				return n + 1;
			turns[n++] = i;
		}
		before = used;
	}
	return n;
}

/*
 * Finds the hole that a backend leaves if it dies while it gives back a burst: the first buffer is
 * not marked as used yet, and those behind it are. False if these turns are no such hole. A
 * burst of nearly the whole ring, which only small rings have, leaves no hole that can be told from
 * a position.
 */
static bool find_hole(const struct ring *ring, const uint16_t turns[TURNS_MAX],
	struct place *ret_hole, struct place *ret_end)
{
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		uint16_t hole = turns[i], run = turns[(i + 1) % TURNS_MAX],
			 end = turns[(i + 2) % TURNS_MAX];

		*ret_hole = unused_place(ring, hole);
		if (distance(ring, hole, run) == 1 && distance(ring, run, end) < ring->size - 2 &&
			is_available(flags_at(ring, hole), ret_hole->wrap)) {
			*ret_end = unused_place(ring, end);
			return true;
		}
	}
	return false;
}

/*
 * True if the buffer that ends at the ring's position is a chain, of which this place is the second
 * descriptor. Only the first descriptor of a chain is marked as used; it gets the id of the last.
 * The others stay as the driver has written them. A chain of two is not recognised: its second
 * descriptor looks like the next buffer, to which Linux gives the id that has just come back.
 */
static bool is_in_last_chain(const struct ring *ring, struct place place)
{
	const struct vring_packed_desc *desc = ring->packed_desc;
	uint16_t first = (place.number + ring->size - 1) % ring->size, last = first;
	uint16_t flags = VRING_DESC_F_NEXT, n;

	for (n = 0; n < ring->size && flags & VRING_DESC_F_NEXT; n++) {
		last = place.number;
		flags = flags_at(ring, last);
		if (!is_available(flags, place.wrap))
			return false;
		if (++place.number == ring->size)
			place = (struct place){0, !place.wrap};
	}
	return n > 1 && place.number == ring->next && place.wrap == ring->wrap &&
	       desc[last].id == desc[first].id;
}

/*
 * Gives back the torn burst empty: a packet of several buffers may have lost its last ones. The
 * driver looks no further than the hole, so it has seen none of it.
 */
static void close_hole(struct ring *ring, struct place hole, struct place end)
{
	const struct used used = {.id = ring->packed_desc[hole.number].id, .n_slots = 1};

	for (uint16_t i = (hole.number + 1) % ring->size; i != end.number;
		i = (i + 1) % ring->size) {
		ring->packed_desc[i].len = 0;
		log_descriptor(ring, &ring->packed_desc[i]);
	}
	use_descriptor(ring, hole, &used);
}

bool ring_packed_find_position(struct ring *ring)
{
	uint16_t turns[TURNS_MAX];
	struct place place, hole = {0};
	unsigned n = find_turns(ring, turns);
	bool has_hole = n == TURNS_MAX;

	if (n == 1)
		place = unused_place(ring, turns[0]);
	else if (!has_hole || !find_hole(ring, turns, &hole, &place))
		return false; /* chains have left their marks */
	if (place.number == ring->next && place.wrap == ring->wrap)
		return false;
	if (!is_start(ring) && is_in_last_chain(ring, place))
		return false;
	if (has_hole)
		close_hole(ring, hole, place);
	ring->next = place.number;
	ring->wrap = place.wrap;
	return true;
}
