/* SPDX-License-Identifier: BSD-3-Clause */

/* Buffers of several pieces, for both kinds of rings. */

#include "core/packet/offload.h"
#include "core/ring/ring_internal.h"

static bool add_memory(struct ring *ring, struct chain *chain, uint64_t gpa, uint32_t bytes)
{
	/* A piece for each region that it touches; mostly one. */
	for (uint64_t room; bytes > 0;) {
		uint8_t *at = guest_memory_at(ring->memory, gpa, &room);
		if (unlikely(at == NULL)) {
			ring_retire(ring, RING_ADDRESS);
			return false;
		}
		if (unlikely(chain->n_pieces == CHAIN_PIECES_MAX)) {
			chain->too_long = true;
			return true;
		}
		struct piece piece = {at, gpa, RTE_MIN(room, bytes)};
		chain->pieces[chain->n_pieces++] = piece;
		chain->bytes += piece.bytes;
		gpa += piece.bytes;
		bytes -= piece.bytes;
	}
	return true;
}

bool chain_add(
	struct ring *ring, struct chain *chain, const struct descriptor *descriptor, bool writable)
{
	if (unlikely(((descriptor->flags & VRING_DESC_F_WRITE) != 0) != writable)) {
		ring_retire(ring, RING_DIRECTION);
		return false;
	}
	if (unlikely(++chain->n_descriptors > CHAIN_PIECES_MAX)) {
		chain->too_long = true;
		return true;
	}
	return add_memory(ring, chain, descriptor->gpa, descriptor->bytes);
}

/* Reads one entry of an indirect table; it may straddle two regions. */
static bool read_entry(struct ring *ring, uint64_t gpa, struct descriptor *ret_entry)
{
	struct vring_desc copy;
	uint8_t *to = (uint8_t *)&copy;

	for (uint64_t done = 0, room; done < sizeof(copy); done += room) {
		const uint8_t *at = guest_memory_at(ring->memory, gpa + done, &room);
		if (at == NULL) {
			ring_retire(ring, RING_ADDRESS);
			return false;
		}
		room = RTE_MIN(room, sizeof(copy) - done);
		memcpy(to + done, at, room);
	}
	if (ring->packed)
		*ret_entry = packed_descriptor((const struct vring_packed_desc *)&copy);
	else
		*ret_entry = split_descriptor(&copy);
	return true;
}

/* In a packed ring's table the entries follow one another; in a split ring's they are linked. */
bool chain_add_indirect(
	struct ring *ring, struct chain *chain, const struct descriptor *table, bool writable)
{
	uint32_t n = table->bytes / sizeof(struct vring_desc), next = 0;

	if (n == 0 || table->bytes % sizeof(struct vring_desc) != 0 ||
		table->flags & VRING_DESC_F_NEXT) {
		ring_retire(ring, RING_INDIRECT);
		return false;
	}
	for (uint32_t seen = 0; next < n && seen < n; seen++) {
		struct descriptor entry;
		if (!read_entry(ring, table->gpa + next * sizeof(struct vring_desc), &entry))
			return false;
		if (entry.flags & VRING_DESC_F_INDIRECT) {
			ring_retire(ring, RING_INDIRECT);
			return false;
		}
		if (!chain_add(ring, chain, &entry, writable))
			return false;
		if (chain->too_long || (!ring->packed && !(entry.flags & VRING_DESC_F_NEXT)))
			return true;
		next = ring->packed ? next + 1 : entry.number;
	}
	if (ring->packed && next == n)
		return true;
	ring_retire(ring, RING_LOOP);
	return false;
}

/* The position of the next byte in a chain. */
struct cursor {
	const struct piece *piece;
	uint32_t offset;
};

/*
 * The number of bytes left in the cursor's piece, or in the next one if there are none. Only while
 * the chain has bytes left.
 */
static uint32_t left_of_piece(struct cursor *cursor)
{
	if (cursor->offset == cursor->piece->bytes) {
		cursor->piece++;
		cursor->offset = 0;
	}
	return cursor->piece->bytes - cursor->offset;
}

static void copy_from_chain(struct cursor *cursor, void *to, uint32_t bytes)
{
	for (uint32_t done = 0, part; done < bytes; done += part) {
		part = RTE_MIN(left_of_piece(cursor), bytes - done);
		memcpy((uint8_t *)to + done, cursor->piece->at + cursor->offset, part);
		cursor->offset += part;
	}
}

static void copy_to_chain(
	const struct ring *ring, struct cursor *cursor, const uint8_t *from, uint32_t bytes)
{
	for (uint32_t done = 0, part; done < bytes; done += part) {
		part = RTE_MIN(left_of_piece(cursor), bytes - done);
		stores_write(
			ring->past_cache, cursor->piece->at + cursor->offset, from + done, part);
		guest_memory_log(ring->memory, cursor->piece->gpa + cursor->offset, part);
		cursor->offset += part;
	}
}

/* Chains as many mbufs behind the packet as `bytes` more need. False if the pool has too few. */
static bool extend(struct rte_mbuf *packet, struct rte_mempool *pool, uint32_t bytes)
{
	const uint32_t room = packet_room(pool);
	struct rte_mbuf *last = packet;

	for (; bytes > 0; last = last->next) {
		uint32_t part = RTE_MIN(room, bytes);
		last->next = rte_mbuf_raw_alloc(pool);
		if (last->next == NULL)
			return false;
		packet_init(last->next, part);
		packet->nb_segs++;
		packet->pkt_len += part;
		bytes -= part;
	}
	return true;
}

void packet_cut_off(struct rte_mbuf *packet)
{
	rte_pktmbuf_free(packet->next);
	packet->next = NULL;
	packet->nb_segs = 1;
	if (RTE_MBUF_HAS_EXTBUF(packet))
		rte_pktmbuf_detach(packet);
}

/*
 * Copies the payload of the chain, at the cursor, into as many mbufs as it needs. False if the pool
 * has too few.
 */
static bool copy_payload(
	struct cursor *cursor, struct rte_mbuf *packet, uint32_t bytes, struct rte_mempool *pool)
{
	packet_init(packet, RTE_MIN(bytes, packet_room(pool)));
	if (!extend(packet, pool, bytes - packet->data_len))
		return false;
	for (struct rte_mbuf *part = packet; part != NULL; part = part->next)
		copy_from_chain(cursor, rte_pktmbuf_mtod(part, void *), part->data_len);
	return true;
}

/*
 * Devices limit the length of a segment (igb and ixgbe: some 16 KB) and the number of segments in a
 * frame (iavf: 8, for a jumbo frame as well as for one that is cut off a longer packet).
 */
#define LOAN_SEGMENT_BYTES_MAX 8192
#define LOAN_PIECE_BYTES_MIN 2048 /* except the last piece */
#define LOAN_SEGMENTS_MAX 32

/*
 * True if no piece behind the first `head` bytes is too small, and they do not make too many
 * segments.
 */
static bool is_lendable(const struct lender *lender, const struct chain *chain, uint64_t head)
{
	uint64_t n = 0, max = 1;

	for (unsigned i = 0; i < chain->n_pieces; i++) {
		uint64_t bytes = chain->pieces[i].bytes;
		uint64_t skipped = RTE_MIN(head, bytes);
		bool last = i + 1 == chain->n_pieces;
		head -= skipped;
		bytes -= skipped;
		if (!last && bytes > 0 && bytes < LOAN_PIECE_BYTES_MIN)
			return false;
		n += (bytes + LOAN_SEGMENT_BYTES_MAX - 1) / LOAN_SEGMENT_BYTES_MAX;
	}
	if (lender->chains)
		max = RTE_MIN(lender->max - RTE_MIN(lender->n_out, lender->max), LOAN_SEGMENTS_MAX);
	return n <= max;
}

/*
 * Lends the rest of the chain: in segments behind the packet's head, or, without a head, in the
 * packet itself too. False if the pool has too few.
 */
static bool lend_rest(struct cursor *cursor, struct rte_mbuf *packet, uint32_t bytes,
	struct lender *lender, struct loan *loan)
{
	struct rte_mbuf *last = packet;

	for (uint32_t part; bytes > 0; bytes -= part) {
		part = RTE_MIN(RTE_MIN(left_of_piece(cursor), bytes), LOAN_SEGMENT_BYTES_MAX);
		if (part == 0)
			continue;
		if (packet->pkt_len > 0) {
			last->next = rte_mbuf_raw_alloc(packet->pool);
			if (last->next == NULL)
				return false;
			last = last->next;
			packet_init(last, 0);
			packet->nb_segs++;
		}
		loan_attach(loan, lender, last, cursor->piece->at + cursor->offset, part);
		cursor->offset += part;
		packet->pkt_len += part;
	}
	return true;
}

/*
 * Takes the payload of the chain, at the cursor: copies it, or copies its head and lends the rest.
 * False if the pool has too few mbufs.
 */
static bool take_payload(const struct ring *ring, const struct chain *chain, struct cursor *cursor,
	const struct virtio_net_hdr *header, struct rte_mbuf *packet, struct rte_mempool *pool,
	struct lender *lender, struct loan *loan)
{
	uint32_t bytes = chain->bytes - ring->header_bytes, head = bytes;

	if (lender != NULL)
		head = loan_head(lender, header, bytes);
	if (head == bytes || !is_lendable(lender, chain, ring->header_bytes + head))
		return copy_payload(cursor, packet, bytes, pool);
	return copy_payload(cursor, packet, head, pool) &&
	       lend_rest(cursor, packet, bytes - head, lender, loan);
}

int chain_to_packet(const struct ring *ring, const struct chain *chain, struct rte_mbuf *packet,
	struct rte_mempool *pool, struct lender *lender, struct loan *loan)
{
	struct cursor cursor = {.piece = chain->pieces};
	struct virtio_net_hdr_mrg_rxbuf header;

	if (chain->too_long || chain->bytes <= ring->header_bytes ||
		chain->bytes - ring->header_bytes > PACKET_BYTES_MAX)
		return -1;
	copy_from_chain(&cursor, &header, ring->header_bytes);
	bool taken = take_payload(ring, chain, &cursor, &header.hdr, packet, pool, lender, loan);
	if (taken && (!net_header_asks(&header.hdr) || net_header_read(&header.hdr, packet)))
		return 1;
	packet_cut_off(packet);
	return taken ? -1 : 0;
}

void packet_to_chain(const struct ring *ring, const struct rte_mbuf *packet,
	const struct chain *chain, uint16_t n_buffers)
{
	struct cursor cursor = {.piece = chain->pieces};
	uint8_t header[sizeof(struct virtio_net_hdr_mrg_rxbuf)];

	header_write(ring, packet, n_buffers, header);
	copy_to_chain(ring, &cursor, header, ring->header_bytes);
	for (; packet != NULL; packet = packet->next)
		copy_to_chain(
			ring, &cursor, rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len);
}
