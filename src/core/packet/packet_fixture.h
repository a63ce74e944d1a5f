/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packets for the unit tests of code that reads and writes headers: made as a guest leaves them to
 * its device, and checked by code that shares nothing with the code under test.
 */

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 70000

enum extension {
	NO_EXTENSION,
	HOP_BY_HOP,  /* with destination options: 8 bytes each */
	ROUTING,     /* type 2 with a segment left: holds the final destination */
	LONG_CHAIN,  /* destination options of 1024 bytes: too long for l3_len */
	FRAGMENTING, /* an IPv6 fragment header */
};

/* What a packet looks like; 0 is the plain form of everything. */
struct shape {
	unsigned n_tags; /* 1: 802.1Q; 2 and more: 802.1ad around it, or */
	bool q_only;     /* 802.1Q, too */
	bool ipv6;
	unsigned ip_option_bytes; /* IPv4, a multiple of 4 */
	enum extension extension; /* IPv6 */
	uint16_t fragment;        /* IPv4: flags and offset */
	uint16_t ip_id;
	uint8_t source, destination; /* last bytes of the addresses */
	bool udp;
	uint16_t source_port, destination_port;
	uint32_t sequence;
	unsigned tcp_option_bytes; /* a multiple of 4 */
	uint8_t tcp_flags;
	unsigned payload_bytes;
	unsigned piece_bytes; /* in chained buffers of this size; 0: in ordinary ones */
};

/* Where things are in a frame. */
struct layout {
	unsigned l3, l4, payload; /* offsets */
	unsigned checksum;        /* offset of the TCP or UDP checksum */
	bool ipv6, udp;
};

/* A group setup function for cmocka: starts DPDK without huge pages or devices. */
int start_dpdk(void **state);

/* Makes a pool; free_pool() checks that all its packets have come back. */
struct rte_mempool *make_pool(unsigned n);
void free_pool(struct rte_mempool *pool);

/*
 * Makes a packet whose checksum field holds the sum of the pseudo-header, as with
 * VIRTIO_NET_HDR_F_NEEDS_CSUM.
 */
struct rte_mbuf *make_packet(struct rte_mempool *pool, const struct shape *shape);

/* Copies the packet in one piece; returns its length. */
unsigned linearize(const struct rte_mbuf *packet, uint8_t ret_frame[static FRAME_MAX]);

/* Asserts that all lengths and checksums of a frame of this shape are right. */
struct layout check_frame(const uint8_t *frame, unsigned length, const struct shape *shape);

/* Where things are in a frame of this shape. */
struct layout find_layout(const struct shape *shape);

/* The sum of the pseudo-header of an L4 part of `l4_bytes`, neither folded nor inverted. */
uint32_t pseudo_header_sum(const uint8_t *frame, const struct layout *layout,
	const struct shape *shape, unsigned l4_bytes);

/*
 * The checksum of `start` and `bytes`, folded to 16 bits and not inverted. `bytes` are big-endian
 * words; an odd last byte is padded.
 */
uint16_t fold_sum(uint32_t start, const uint8_t *bytes, unsigned n);
