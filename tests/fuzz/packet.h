/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packets of a guest's choosing, in chained buffers that end where the packet ends, so that an
 * access past the end is noticed.
 */

#include <rte_mbuf.h>

#include "fuzz.h"

#define PACKET_PIECES_MAX 8

struct packet {
	struct rte_mbuf pieces[PACKET_PIECES_MAX];
};

/* `data` in pieces of the given lengths; the last piece is the rest. */
static inline struct rte_mbuf *packet_make(struct packet *packet, const uint8_t *data, size_t size,
	const uint8_t *lengths, unsigned n_lengths)
{
	struct rte_mbuf *head = &packet->pieces[0];

	memset(packet, 0, sizeof(*packet));
	head->pkt_len = size;
	for (unsigned i = 0; i == 0 || (size > 0 && i < PACKET_PIECES_MAX); i++) {
		bool last = i + 1 == PACKET_PIECES_MAX || i >= n_lengths || lengths[i] == 0;
		size_t length = last ? size : MIN((size_t)lengths[i], size);
		struct rte_mbuf *piece = &packet->pieces[i];

		piece->buf_addr = malloc(length + !length);
		require(piece->buf_addr);
		memcpy(piece->buf_addr, data, length);
		piece->buf_len = piece->data_len = length;
		piece->nb_segs = 1;
		head->nb_segs = i + 1;
		if (i > 0)
			packet->pieces[i - 1].next = piece;
		data += length;
		size -= length;
	}
	return head;
}

static inline void packet_free(struct packet *packet)
{
	for (unsigned i = 0; i < PACKET_PIECES_MAX; i++)
		free(packet->pieces[i].buf_addr);
}

/* The packet's bytes in one piece; the caller frees them. */
static inline uint8_t *packet_bytes(const struct rte_mbuf *packet)
{
	uint8_t *bytes = malloc(packet->pkt_len + 1), *at = bytes;

	require(bytes);
	for (const struct rte_mbuf *piece = packet; piece; piece = piece->next) {
		memcpy(at, rte_pktmbuf_mtod(piece, const void *), piece->data_len);
		at += piece->data_len;
	}
	require((size_t)(at - bytes) == packet->pkt_len);
	return bytes;
}
