/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a burst is taken from a ring and given to one, the same for both kinds of rings. It is
 * compiled for each with its own `struct ring_kind`, so that nothing is called through a pointer.
 *
 * Most buffers are simple. They are read as a run, so that first their descriptors and then their
 * bytes are already on the way from the guest's CPU when they are copied. All others are read one
 * by one. The guest is told once, at the end, what was done, or later, together with what the next
 * bursts do.
 */

#include "core/packet/offload.h"
#include "core/ring/ring_internal.h"

#define AHEAD 16     /* buffers */
#define HELD_MAX 256 /* buffers; and no more than a quarter of the ring */

static __rte_always_inline void call_if_wanted(const struct ring_kind *kind, struct ring *ring)
{
	uint16_t before = ring->call_considered_at;
	bool first = !ring->call_considered;

	ring->call_considered_at = ring->next;
	ring->call_considered = true;
	if (ring->call_fd < 0)
		return;
	/*
	 * The used buffers must be visible before we read whether the guest wants to hear of them.
	 */
	rte_smp_mb();
	if (kind->wants_call(ring, before, first))
		ring_call(ring);
}

/* Shows the guest what has been used, and calls it if it wants to hear of that. */
static __rte_always_inline void show_used(const struct ring_kind *kind, struct ring *ring)
{
	if (kind->show_used != NULL)
		kind->show_used(ring);
	ring->held.n = 0;
	call_if_wanted(kind, ring);
}

/* Gives buffers back to the guest at once. */
static __rte_always_inline void give_back(
	const struct ring_kind *kind, struct ring *ring, const struct used *used, uint16_t n)
{
	kind->write_used(ring, used, n);
	show_used(kind, ring);
}

/* True if the guest need not see yet what is held: the last `n` buffers, and those before. */
static __rte_always_inline bool can_wait(struct ring *ring, uint16_t n)
{
	const uint64_t now = rte_rdtsc();

	if (ring->held.n == n)
		ring->held.since = now;
	return ring->held.n < RTE_MIN(HELD_MAX, ring->size / 4) &&
	       now - ring->held.since < ring->hold_cycles && ring_fault(ring) == RING_SOUND;
}

/*
 * Gives back what a burst from the guest has used. A guest that sends as fast as it can looks at
 * the ring after each burst of its own, and whenever it sees something new there, it has to wait
 * for a cache line from our CPU. So what full bursts have used is shown to it together: `may_hold`
 * if this one was full, or empty, and each buffer took one descriptor, so that the guest keeps most
 * of them.
 */
static __rte_always_inline void give_back_taken(const struct ring_kind *kind, struct ring *ring,
	const struct used *used, uint16_t n, bool may_hold)
{
	if (n > 0) {
		kind->write_used(ring, used, n);
		ring->held.n += n;
	}
	may_hold &= kind->show_used != NULL && ring->hold_cycles > 0;
	if (ring->held.n > 0 && !(may_hold && can_wait(ring, n)))
		show_used(kind, ring);
}

/*
 * Copies a run of buffers, or lends them if there is a lender; the first one becomes loan number
 * `first_loan`. Returns how many packets that made; the others were malformed.
 */
static __rte_always_inline uint16_t take_run(struct ring *ring, const struct simple *buffers,
	uint16_t n, struct rte_mbuf **packets, uint32_t room, struct lender *lender,
	uint16_t first_loan, struct burst_account *account)
{
	uint16_t taken = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *packet = packets[taken];
		uint32_t payload = buffers[i].bytes - ring->header_bytes;
		if (lender == NULL && i + 1 < n)
			simple_prefetch_rest(&buffers[i + 1]);
		account->received.bytes += payload;
		bool whole = lender != NULL ? lend_simple(ring, &buffers[i], packet, room, lender,
						      ring_loan(ring->loans, first_loan + i))
		                            : take_simple(ring, &buffers[i], packet, room);
		if (likely(whole))
			taken++;
		else
			count_packet(&account->dropped[DROP_MALFORMED], payload);
	}
	account->received.packets += n;
	return taken;
}

/*
 * Takes one buffer of any shape. 1; 0 if there is none, the ring was retired or the pool is empty;
 * -1 if the buffer made no packet.
 */
static __rte_always_inline int take_chain(const struct ring_kind *kind, struct ring *ring,
	uint16_t slot, struct rte_mempool *pool, struct lender *lender, struct loan *loan,
	struct rte_mbuf **ret_packet, struct used *ret_used, struct burst_account *account)
{
	struct chain chain;

	chain_init(&chain);
	bool sound = kind->read_chain(ring, slot, &chain, false, ret_used);
	account->descriptors += chain.n_descriptors;
	if (!sound)
		return 0;
	*ret_packet = rte_mbuf_raw_alloc(pool);
	if (*ret_packet == NULL)
		return 0;
	int r = chain_to_packet(ring, &chain, *ret_packet, pool, lender, loan);
	if (r <= 0)
		rte_mbuf_raw_free(*ret_packet);
	if (r == 0)
		return 0;
	/* What makes no packet counts as the longest one at most, whatever its descriptors say. */
	const uint64_t payload = chain.bytes - RTE_MIN(chain.bytes, ring->header_bytes);
	const uint32_t bytes = RTE_MIN(payload, PACKET_BYTES_MAX);
	count_packet(&account->received, bytes);
	if (r < 0)
		count_packet(&account->dropped[DROP_MALFORMED], bytes);
	return r;
}

/* Gives back the oldest loans that are over, or all of them. */
static __rte_always_inline void give_back_loans(
	const struct ring_kind *kind, struct ring *ring, bool all)
{
	struct ring_loans *loans = ring->loans;
	struct used used[2 * RING_BURST];
	uint16_t n = 0;

	while (loans->n > 0) {
		const struct loan *loan = ring_loan(loans, 0);
		if (!all && atomic_load_explicit(&loan->out, memory_order_acquire))
			break;
		used[n++] = loan->used;
		loans->slots -= loan->used.n_slots;
		loans->first++;
		loans->n--;
		if (n == RTE_DIM(used)) {
			give_back(kind, ring, used, n);
			n = 0;
		}
	}
	if (n > 0)
		give_back(kind, ring, used, n);
	/* Start again with the loans that are in the cache. */
	if (loans->n == 0 && likely(!loans->unsent))
		loans->first = 0;
}

/*
 * Records what a burst has taken behind the loans that are out, and gives back those that are over.
 */
static __rte_always_inline void note_taken(
	const struct ring_kind *kind, struct ring *ring, const struct used *used, uint16_t n)
{
	struct ring_loans *loans = ring->loans;

	for (uint16_t i = 0; i < n; i++) {
		ring_loan(loans, loans->n)->used = used[i];
		loans->slots += used[i].n_slots;
		loans->n++;
	}
	give_back_loans(kind, ring, false);
}

/*
 * `lends`: ring->loans is not NULL. A constant where this is called, so that the code for loans is
 * compiled into the lending variants only. These have no lender while the device cannot be lent to.
 */
static __rte_always_inline uint16_t burst_take(const struct ring_kind *kind, struct ring *ring,
	struct rte_mempool *pool, bool lends, struct lender *lender, struct rte_mbuf **ret_packets,
	uint16_t n, struct burst_account *account)
{
	const uint64_t enough = account->received.bytes + RING_BURST_BYTES;
	const unsigned before = account->descriptors;
	const unsigned enough_descriptors = before + RING_BURST_DESCRIPTORS;
	const uint32_t room = packet_room(pool);
	struct simple buffers[RING_BURST];
	struct used used[RING_BURST];
	uint16_t taken = 0, done = 0, slot = 0;

	if (lends) {
		slot = ring_slots_kept(ring);
		n = ring_loans_room(ring->loans, n);
	}
	if (lender != NULL && unlikely(lender->n_out >= lender->max))
		n = 0;
	while (done < n) {
		bool more;
		uint16_t run = kind->read_run(ring, slot, buffers, n - done, false, &more);
		/*
		 * A packet that needs several mbufs, or has nothing behind its header, is not
		 * simple.
		 */
		for (uint16_t i = 0; i < run; i++)
			if (unlikely(buffers[i].bytes - ring->header_bytes - 1 >= room)) {
				run = i;
				more = true;
			}
		if (run > 0) {
			if (rte_mempool_get_bulk(pool, (void **)&ret_packets[taken], run) != 0)
				break;
			uint16_t whole = take_run(ring, buffers, run, &ret_packets[taken], room,
				lender, lends ? ring->loans->n + done : 0, account);
			if (unlikely(whole < run))
				rte_mempool_put_bulk(
					pool, (void **)&ret_packets[taken + whole], run - whole);
			for (uint16_t i = 0; i < run; i++)
				used[done++] = (struct used){buffers[i].id, 1, 0};
			taken += whole;
			slot += run;
		}
		if (likely(!more || done == n))
			break;
		int r = take_chain(kind, ring, slot, pool, lender,
			lender != NULL ? ring_loan(ring->loans, ring->loans->n + done) : NULL,
			&ret_packets[taken], &used[done], account);
		if (r == 0)
			break;
		if (r > 0)
			taken++;
		slot += used[done++].n_slots;
		if (account->received.bytes >= enough || account->descriptors >= enough_descriptors)
			break;
	}
	if (lends)
		note_taken(kind, ring, used, done);
	else
		give_back_taken(kind, ring, used, done,
			(done == 0 || done == n) && account->descriptors == before);
	return taken;
}

/*
 * True if a packet has waited for more buffers at this position, this one needs as much, and there
 * are no more yet. So a guest with too few of them costs no time.
 */
static __rte_always_inline bool is_starved(
	const struct ring_kind *kind, struct ring *ring, uint32_t bytes)
{
	return ring->starved.slots > 0 && ring->starved.next == ring->next &&
	       bytes >= ring->starved.bytes && !kind->has_buffer(ring, ring->starved.slots);
}

/*
 * Gives a packet as many buffers of any shape as it needs. Returns how many, 0 if there are too few
 * now, or -1 if there will never be enough.
 */
static __rte_always_inline int give_chain(const struct ring_kind *kind, struct ring *ring,
	uint16_t slot, const struct rte_mbuf *packet, struct used *ret_used,
	struct burst_account *account)
{
	const uint32_t bytes = ring->header_bytes + packet->pkt_len;
	const uint16_t first = slot;
	uint32_t left = bytes;
	struct chain chain;
	int n = 0;

	chain_init(&chain);
	while (left > 0) {
		uint64_t before = chain.bytes;
		if (!kind->read_chain(ring, slot, &chain, true, &ret_used[n])) {
			/* Not even all buffers that the ring can hold would be enough. */
			n = ring_fault(ring) == RING_SOUND && slot - first == ring->size ? -1 : 0;
			if (n == 0 && first == 0) {
				ring->starved.next = ring->next;
				ring->starved.slots = slot;
				ring->starved.bytes = bytes;
			}
			break;
		}
		slot += ret_used[n].n_slots;
		ret_used[n].bytes = RTE_MIN(left, chain.bytes - before);
		left -= ret_used[n++].bytes;
		if (unlikely(chain.too_long || n == CHAIN_PIECES_MAX ||
			     (left > 0 && !ring->mergeable))) {
			n = -1;
			break;
		}
	}
	account->descriptors += chain.n_descriptors;
	if (n > 0)
		packet_to_chain(ring, packet, &chain, n);
	return n;
}

/*
 * Gives a packet as many of the simple buffers of a run as it needs. Returns how many, or 0 if they
 * are too few, or if it needs several and may have one only.
 */
static __rte_noinline uint16_t give_run(const struct ring *ring, const struct rte_mbuf *packet,
	const struct simple *buffers, uint16_t n, struct used *ret_used)
{
	uint32_t left = ring->header_bytes + packet->pkt_len;
	struct chain chain;

	chain_init(&chain);
	for (uint32_t part; left > 0; left -= part) {
		const struct simple *buffer = &buffers[chain.n_pieces];
		if (chain.n_pieces == (ring->mergeable ? n : 1))
			return 0;
		part = RTE_MIN(left, buffer->bytes);
		ret_used[chain.n_pieces] = (struct used){buffer->id, 1, part};
		chain.pieces[chain.n_pieces++] =
			(struct piece){buffer->at, buffer->gpa, buffer->bytes};
	}
	packet_to_chain(ring, packet, &chain, chain.n_pieces);
	return chain.n_pieces;
}

static __rte_always_inline uint16_t burst_give(const struct ring_kind *kind, struct ring *ring,
	struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	struct used used[RING_BURST + 2 * CHAIN_PIECES_MAX];
	const unsigned enough_descriptors = account->descriptors + RING_BURST_DESCRIPTORS;
	struct simple buffers[RING_BURST];
	uint16_t done = 0, slot = 0, n_used = 0;

	if (n > 0 && is_starved(kind, ring, ring->header_bytes + packets[0]->pkt_len))
		return 0;
	while (done < n) {
		if (unlikely(n_used > CHAIN_PIECES_MAX)) {
			stores_finish(ring->past_cache);
			give_back(kind, ring, used, n_used);
			n_used = slot = ring->starved.slots = 0;
		}
		bool more;
		uint16_t wanted = n - done, i, many;
		uint16_t run = kind->read_run(ring, slot, buffers, wanted, true, &more);
		if (kind->prefetch_used != NULL && run > 0)
			kind->prefetch_used(ring, slot, run);
		for (i = 0; i < run && done < n; i += many) {
			const struct rte_mbuf *packet = packets[done];
			uint32_t bytes = ring->header_bytes + packet->pkt_len;
			if (likely(bytes <= buffers[i].bytes && packet->nb_segs == 1)) {
				give_simple(ring, packet, &buffers[i]);
				used[n_used] = (struct used){buffers[i].id, 1, bytes};
				many = 1;
			} else {
				many = give_run(ring, packet, &buffers[i], run - i, &used[n_used]);
				if (many == 0)
					break;
			}
			account->sent.bytes += packet->pkt_len;
			account->sent.packets++;
			n_used += many;
			slot += many;
			done++;
		}
		if (likely(done == n) || (i == run && run < wanted && !more) ||
			account->descriptors >= enough_descriptors)
			break;
		int r = give_chain(kind, ring, slot, packets[done], &used[n_used], account);
		if (r == 0)
			break;
		count_packet(r > 0 ? &account->sent : &account->dropped[DROP_OVERSIZE],
			packets[done++]->pkt_len);
		for (; r > 0; r--)
			slot += used[n_used++].n_slots;
	}
	if (n_used > 0) {
		stores_finish(ring->past_cache);
		give_back(kind, ring, used, n_used);
		ring->starved.slots = 0;
		/*
		 * Get the next buffers on their way for the next burst. The ones in front of them
		 * have been looked at before.
		 */
		bool more;
		slot = RTE_MIN(slot, AHEAD);
		kind->read_run(ring, AHEAD - slot, buffers, slot, true, &more);
	}
	return done;
}
