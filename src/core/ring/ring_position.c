/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How far a packed ring has got, told from its descriptors: for a backend that goes on where
 * another one died.
 */

#include "core/ring/ring_packed.h"

static bool is_position(const struct ring *ring, struct ring_place place)
{
	return place.number == ring->next && place.wrap == ring->wrap;
}

/* The place of a descriptor whose used flag says that the device will use it next. */
static struct ring_place unused_place(const struct ring *ring, uint16_t number)
{
	return (struct ring_place){number, !(flags_at(ring, number) & F_USED)};
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
	struct ring_place *ret_hole, struct ring_place *ret_end)
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
static bool is_in_last_chain(const struct ring *ring, struct ring_place place)
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
			place = (struct ring_place){0, !place.wrap};
	}
	return n > 1 && place.number == ring->next && place.wrap == ring->wrap &&
	       desc[last].id == desc[first].id;
}

/*
 * Gives back the torn burst empty: a packet of several buffers may have lost its last ones. The
 * driver looks no further than the hole, so it has seen none of it.
 */
static void close_hole(struct ring *ring, struct ring_place hole, struct ring_place end)
{
	const struct used used = {.id = ring->packed_desc[hole.number].id, .n_slots = 1};

	for (uint16_t i = (hole.number + 1) % ring->size; i != end.number;
		i = (i + 1) % ring->size) {
		ring->packed_desc[i].len = 0;
		log_descriptor(ring, &ring->packed_desc[i]);
	}
	use_descriptor(ring, hole, &used);
}

/* The position of a ring whose buffers are marked as used one by one. False: the present one. */
static bool find_by_turns(struct ring *ring, struct ring_place *ret_place)
{
	const struct ring_place start = {0, true};
	uint16_t turns[TURNS_MAX];
	struct ring_place hole = {0};
	unsigned n = find_turns(ring, turns);
	bool has_hole = n == TURNS_MAX;

	if (n == 1)
		*ret_place = unused_place(ring, turns[0]);
	else if (!has_hole || !find_hole(ring, turns, &hole, ret_place))
		return false; /* chains have left their marks */
	const bool moves = !is_position(ring, *ret_place);
	if (moves && !is_position(ring, start) && is_in_last_chain(ring, *ret_place))
		return false;
	if (has_hole)
		close_hole(ring, hole, *ret_place);
	return moves;
}

/*
 * The number of the descriptor that the driver will offer next: it writes their available flags one
 * after the other.
 */
static uint16_t offered_next(const struct ring *ring)
{
	const uint16_t avail = flags_at(ring, 0) & F_AVAIL;
	uint16_t number = 1;

	while (number < ring->size && (flags_at(ring, number) & F_AVAIL) == avail)
		number++;
	return number % ring->size;
}

/*
 * Marks a burst's first descriptor as used, if the backend died before it did that. Only our own
 * marks have a length, and are so flagged.
 */
static void complete_burst(struct ring *ring, struct ring_place last)
{
	const struct vring_packed_desc *at = &ring->packed_desc[last.number];
	const struct used burst = {.id = at->id};
	const uint32_t slots = at->len;

	if (!(flags_at(ring, last.number) & VRING_DESC_F_WRITE) || slots < 2 || slots > ring->size)
		return;
	struct ring_place first = place_behind(
		ring, (struct ring_place){last.number, !last.wrap}, ring->size - (slots - 1));
	if (is_available(flags_at(ring, first.number), first.wrap))
		use_descriptor(ring, first, &burst);
}

/*
 * True if this is the first descriptor of a burst that another backend gave back, which has marked
 * no other one. The ring has the right position then, and the descriptor in front of that has the
 * id of the burst. `offered`: descriptors from here on that the driver has offered, at most.
 */
static bool ends_at_position(const struct ring *ring, struct ring_place first, uint16_t offered)
{
	const uint16_t last = (ring->next + ring->size - 1) % ring->size;
	const uint16_t slots = distance(ring, first.number, last) + 1;

	return slots > 1 && slots <= offered &&
	       is_position(ring, place_behind(ring, first, slots)) &&
	       ring->packed_desc[last].id == ring->packed_desc[first.number].id;
}

/*
 * The position of a ring that is in order: behind the last descriptor that is marked as used. The
 * descriptors of a burst between its first and its last look as if they were still available. If
 * none is marked, the driver has offered all of them again, and the ring is full. (Or it has
 * offered part of a burst of another backend again, which would leave other descriptors behind: a
 * migration with a ring that was nearly full. This cannot be told apart, and is the rarer case by
 * far.)
 */
static bool find_by_last_mark(struct ring *ring, struct ring_place *ret_place)
{
	const uint16_t offered = offered_next(ring);

	*ret_place = unused_place(ring, offered);
	for (uint16_t back = 1; back <= ring->size; back++) {
		const uint16_t number = (offered + ring->size - back) % ring->size;
		const uint16_t flags = flags_at(ring, number);
		const struct ring_place last = {number, flags & F_USED};
		if (is_available(flags, true) || is_available(flags, false))
			continue;
		if (ends_at_position(ring, last, back))
			return false;
		complete_burst(ring, last);
		*ret_place = place_behind(ring, last, 1);
		break;
	}
	return !is_position(ring, *ret_place);
}

bool ring_packed_find_position(struct ring *ring)
{
	struct ring_place place;

	if (!(ring->in_order ? find_by_last_mark(ring, &place) : find_by_turns(ring, &place)))
		return false;
	ring->next = place.number;
	ring->wrap = place.wrap;
	return true;
}
