/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What ring.c, ring_split.c, ring_packed.c, ring_position.c and ring_chain.c share. */

#include <linux/virtio_config.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <string.h>

#include "core/packet/copy.h"
#include "core/packet/net_header.h"
#include "core/ring/ring.h"
#include "core/ring/ring_loans.h"
#include "core/ring/stores.h"

/* A copy of a descriptor as it was when it was read, of either kind of ring. */
struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t number; /* split: of the next one; packed: the buffer's id */
};

/*
 * A buffer consists of pieces of memory, each of which lies in one region. At most this many
 * descriptors are looked at for a packet, whatever is in them: empty ones cost time as well.
 */
#define CHAIN_PIECES_MAX 256

struct piece {
	uint8_t *at;
	uint64_t gpa;
	uint32_t bytes;
};

struct chain {
	unsigned n_descriptors;
	unsigned n_pieces;
	bool too_long;  /* there were more of either, which are left out */
	uint64_t bytes; /* of the pieces */
	struct piece pieces[CHAIN_PIECES_MAX];
};

/* The pieces themselves are left uninitialised. */
static inline void chain_init(struct chain *chain)
{
	chain->n_descriptors = chain->n_pieces = 0;
	chain->too_long = false;
	chain->bytes = 0;
}

typedef uint64_t __attribute__((may_alias)) descriptor_word;

/* Both halves of a descriptor, each read once. */
static inline void descriptor_words(const void *at, uint64_t ret_words[2])
{
	const descriptor_word *words = at;

	ret_words[0] = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
	ret_words[1] = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
}

static inline struct descriptor split_descriptor(const struct vring_desc *at)
{
	uint64_t words[2];

	descriptor_words(at, words);
	return (struct descriptor){
		.gpa = words[0],
		.bytes = words[1],
		.flags = words[1] >> 32,
		.number = words[1] >> 48,
	};
}

static inline struct descriptor packed_descriptor(const struct vring_packed_desc *at)
{
	uint64_t words[2];

	descriptor_words(at, words);
	return (struct descriptor){
		.gpa = words[0],
		.bytes = words[1],
		.number = words[1] >> 32,
		.flags = words[1] >> 48,
	};
}

static inline void ring_retire(struct ring *ring, enum ring_fault fault)
{
	atomic_store_explicit(&ring->fault, fault, memory_order_relaxed);
}

/* Appends what a descriptor describes. False if that retired the ring. */
bool chain_add(
	struct ring *ring, struct chain *chain, const struct descriptor *descriptor, bool writable);

/* Appends the buffer that an indirect table describes. False if that retired the ring. */
bool chain_add_indirect(
	struct ring *ring, struct chain *chain, const struct descriptor *table, bool writable);

/*
 * Copies a chain into a fresh packet, with more mbufs of `pool` behind it as needed; with a lender,
 * lends as much of it as possible. 1, 0 if the pool has no more (then nothing has happened), or -1
 * if the chain makes no sense.
 */
int chain_to_packet(const struct ring *ring, const struct chain *chain, struct rte_mbuf *packet,
	struct rte_mempool *pool, struct lender *lender, struct loan *loan);

/*
 * Frees all of a packet except its first segment, and detaches that from a buffer that is not ours.
 */
void packet_cut_off(struct rte_mbuf *packet);

/* Copies header and packet into a chain that has room for them, and logs the writes. */
void packet_to_chain(const struct ring *ring, const struct rte_mbuf *packet,
	const struct chain *chain, uint16_t n_buffers);

/* How many slots behind the position the next buffer to be taken is. */
static inline uint16_t ring_slots_kept(const struct ring *ring)
{
	return ring->loans != NULL ? ring->loans->slots : 0;
}

/* Resets what a packet from the pool may have kept of its last use, and sets its length. */
static inline void packet_init(struct rte_mbuf *packet, uint32_t bytes)
{
	packet->data_off = RTE_PKTMBUF_HEADROOM;
	packet->refcnt = 1;
	packet->nb_segs = 1;
	packet->port = RTE_MBUF_PORT_INVALID;
	packet->ol_flags = 0;
	packet->packet_type = 0;
	packet->pkt_len = bytes;
	packet->data_len = bytes;
	packet->vlan_tci = 0;
}

static inline uint32_t packet_room(struct rte_mempool *pool)
{
	return rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
}

/* Writes the header for a packet to the guest. */
static inline void header_write(
	const struct ring *ring, const struct rte_mbuf *packet, uint16_t n_buffers, uint8_t *at)
{
	struct virtio_net_hdr_mrg_rxbuf header = {.num_buffers = n_buffers};

	if (ring->data_valid &&
		(packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		header.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	memcpy(at, &header, sizeof(header.hdr));
	if (likely(ring->header_bytes == sizeof(header)))
		memcpy(at + sizeof(header.hdr), &header.num_buffers, sizeof(header.num_buffers));
}

/* A buffer of one descriptor, in one region: most are of this kind. */
struct simple {
	uint8_t *at;
	uint64_t gpa;
	uint64_t room; /* bytes of the region from `at` on, at least `bytes` */
	uint32_t bytes;
	uint16_t id; /* by which the guest identifies it */
};

/* False if it is another kind of buffer, or none. */
static inline bool simple_set(struct simple *simple, const struct ring *ring,
	const struct descriptor *descriptor, uint16_t id, bool writable)
{
	const uint16_t mask = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;

	if (unlikely((descriptor->flags & mask) != (writable ? VRING_DESC_F_WRITE : 0)))
		return false;
	simple->at = guest_memory_at(ring->memory, descriptor->gpa, &simple->room);
	if (unlikely(simple->at == NULL || simple->room < descriptor->bytes))
		return false;
	simple->gpa = descriptor->gpa;
	simple->bytes = descriptor->bytes;
	simple->id = id;
	return true;
}

/*
 * Fetches a cache line together with the right to write it, so that a store need not ask the
 * guest's CPU for that. The compiler's builtin does not for the oldest CPUs that we run on,
 * although they take the instruction: as one without effect.
 */
static inline void prefetch_to_write(const void *at)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* Fetches the header and the first bytes, or the right to write them. */
static inline void simple_prefetch(const struct simple *simple, bool writable)
{
	if (writable) {
		prefetch_to_write(simple->at);
		prefetch_to_write(simple->at + RTE_CACHE_LINE_SIZE);
	} else {
		rte_prefetch0(simple->at);
		rte_prefetch0(simple->at + RTE_CACHE_LINE_SIZE);
	}
}

/* Fetches the rest, while something else is copied. */
static inline void simple_prefetch_rest(const struct simple *simple)
{
	for (uint32_t at = 2 * RTE_CACHE_LINE_SIZE; at < simple->bytes; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(simple->at + at);
}

/*
 * What differs between the kinds of rings. `slot` counts from the ring's position: buffers in a
 * split ring, descriptors in a packed one.
 */
struct ring_kind {
	/*
	 * Reads a run of simple buffers, at most `n`. `ret_more`, if there are fewer: the run was
	 * ended by something that read_chain() has to look at.
	 */
	uint16_t (*read_run)(struct ring *ring, uint16_t slot, struct simple *ret_buffers,
		uint16_t n, bool writable, bool *ret_more);
	/*
	 * Reads one buffer of any shape and appends it to `chain`, and its id and number of slots
	 * to `ret_used`. False if there is none, or if that retired the ring.
	 */
	bool (*read_chain)(struct ring *ring, uint16_t slot, struct chain *chain, bool writable,
		struct used *ret_used);
	/* True if the guest has made a buffer available so many slots behind the position. */
	bool (*has_buffer)(struct ring *ring, uint16_t slot);
	/*
	 * Fetches where write_used() will write `n` > 0 buffers from this slot on. NULL: they are
	 * where read_run() has read.
	 */
	void (*prefetch_used)(const struct ring *ring, uint16_t slot, uint16_t n);
	/* Writes buffers as used, and moves the position behind them. */
	void (*write_used)(struct ring *ring, const struct used *used, uint16_t n);
	/* Makes the guest see everything before the position as used. NULL: it does already. */
	void (*show_used)(struct ring *ring);
	/*
	 * True if the guest wants to be called. `before`: the position when we last asked;
	 * `first`: we never did.
	 */
	bool (*wants_call)(const struct ring *ring, uint16_t before, bool first);
};

/*
 * Copies `bytes` of a simple buffer. A few are copied in whole blocks if both sides have room: what
 * is read in excess is the guest's too, and what is written in excess lies behind the packet's end.
 */
static inline void copy_in(
	uint8_t *to, const uint8_t *from, uint32_t bytes, uint64_t from_room, uint32_t to_room)
{
	uint32_t blocks = RTE_ALIGN_CEIL(bytes, 64);

	if (bytes >= COPY_LONG || unlikely(blocks > from_room || blocks > to_room)) {
		copy_bytes(to, from, bytes);
		return;
	}
	for (uint32_t i = 0; i < blocks; i += 64)
		rte_mov64(to + i, from + i);
}

/* True if the packet is good: its header, read once, asked for nothing that makes no sense. */
static inline bool take_simple(const struct ring *ring, const struct simple *simple,
	struct rte_mbuf *packet, uint32_t room)
{
	struct virtio_net_hdr header;
	uint32_t payload = simple->bytes - ring->header_bytes;

	memcpy(&header, simple->at, sizeof(header));
	packet_init(packet, payload);
	copy_in(rte_pktmbuf_mtod(packet, uint8_t *), simple->at + ring->header_bytes, payload,
		simple->room - ring->header_bytes, room);
	return likely(!net_header_asks(&header)) || net_header_read(&header, packet);
}

/*
 * Shorter packets are copied, which takes no longer. Of a packet that asks for an offload, the
 * first LOAN_HEAD_BYTES are copied: an Ethernet header with two tags, IPv6, and TCP with all its
 * options.
 */
#define LOAN_BYTES_MIN 512
#define LOAN_HEAD_BYTES 128
#define L4_HEADER_MAX 64

/*
 * How many bytes of a packet must be copied: none if nobody will parse it; all if lending it is of
 * no use, or if what its header asks for lies beyond the usual headers.
 */
static inline uint32_t loan_head(
	const struct lender *lender, const struct virtio_net_hdr *header, uint32_t payload)
{
	if (payload < LOAN_BYTES_MIN || lender->n_out >= lender->max)
		return payload;
	if (likely(!net_header_asks(header)))
		return 0;
	if (!lender->chains || !(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
		(header->gso_type != VIRTIO_NET_HDR_GSO_NONE && !lender->segments) ||
		(header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_UDP ||
		header->csum_start + L4_HEADER_MAX > LOAN_HEAD_BYTES)
		return payload;
	return LOAN_HEAD_BYTES;
}

/* As take_simple(), but lends what need not be copied, if the pool has a segment for it. */
static inline bool lend_simple(const struct ring *ring, const struct simple *simple,
	struct rte_mbuf *packet, uint32_t room, struct lender *lender, struct loan *loan)
{
	struct virtio_net_hdr header;
	uint32_t payload = simple->bytes - ring->header_bytes;
	uint8_t *at = simple->at + ring->header_bytes;
	struct rte_mbuf *segment = packet;

	memcpy(&header, simple->at, sizeof(header));
	uint32_t head = loan_head(lender, &header, payload);
	if (head == payload || (head > 0 && (segment = rte_mbuf_raw_alloc(packet->pool)) == NULL))
		return take_simple(ring, simple, packet, room);
	packet_init(packet, head);
	if (likely(head == 0)) {
		loan_attach(loan, lender, packet, at, payload);
		packet->pkt_len = payload;
		return true;
	}
	copy_in(rte_pktmbuf_mtod(packet, uint8_t *), at, head, payload, room);
	packet_init(segment, 0);
	loan_attach(loan, lender, segment, at + head, payload - head);
	packet->next = segment;
	packet->nb_segs = 2;
	packet->pkt_len = payload;
	if (net_header_read(&header, packet))
		return true;
	packet_cut_off(packet);
	return false;
}

/* Copies a packet of one segment into a simple buffer that has room for it. */
static inline void give_simple(
	const struct ring *ring, const struct rte_mbuf *packet, const struct simple *simple)
{
	header_write(ring, packet, 1, simple->at);
	stores_write(ring->past_cache, simple->at + ring->header_bytes,
		rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len);
	if (unlikely(ring->memory->log != NULL))
		guest_memory_log(ring->memory, simple->gpa, ring->header_bytes + packet->data_len);
}

/* True if the event that the guest waits for lies between two positions (virtio 1.2, 2.7.10). */
static inline bool event_is_due(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

uint16_t ring_split_take(struct ring *ring, struct rte_mempool *pool, struct rte_mbuf **ret_packets,
	uint16_t n, struct burst_account *account);
uint16_t ring_split_lend(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account);
void ring_split_show_held(struct ring *ring);
void ring_split_give_back_all(struct ring *ring);
uint16_t ring_split_give(
	struct ring *ring, struct rte_mbuf **packets, uint16_t n, struct burst_account *account);
void ring_split_ask_to_notify(struct ring *ring, bool on);

uint16_t ring_packed_take(struct ring *ring, struct rte_mempool *pool,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account);
uint16_t ring_packed_lend(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account);
void ring_packed_give_back_all(struct ring *ring);
uint16_t ring_packed_give(
	struct ring *ring, struct rte_mbuf **packets, uint16_t n, struct burst_account *account);
void ring_packed_ask_to_notify(struct ring *ring, bool on);
