/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest leaves to its device: a byte for what it asks for and what the device can do, the
 * segment size, four lengths of pieces, the packet. The segments must contain the payload again,
 * piece by piece, behind headers of the same length; those of IPv6 fragments are 8 bytes longer.
 */
#include "core/packet/offload.h"
#include "core/packet/gso.h"
#include "packet.h"
#include "pool.h"

#define BUFFERS 96
#define BURST 32
#define FRAGMENT_HEADER 8

enum {
	SEGMENT = 1 << 0,
	CHECKSUM = 1 << 1,
	DEVICE_CHECKSUM = 1 << 2,
	DEVICE_TSO = 1 << 3,
	SHORT_OF_BUFFERS = 1 << 4,
};

static struct rte_mempool *pool;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pool = pool_make(BUFFERS);
	return 0;
}

static void check_segment(const struct rte_mbuf *packet, const uint8_t *bytes,
	const struct rte_mbuf *segment, uint32_t *payload)
{
	uint32_t headers = packet->l2_len + packet->l3_len + packet->l4_len;
	uint32_t own = offload_header_bytes(packet), part = segment->pkt_len - own;
	uint8_t *of_segment = packet_bytes(segment);

	require(segment->l2_len == packet->l2_len && segment->l3_len == packet->l3_len &&
		segment->l4_len == packet->l4_len);
	require(segment->pkt_len > own && segment->pkt_len <= offload_frame_bytes(packet));
	require(headers + *payload + part <= packet->pkt_len);
	require(memcmp(of_segment + own, bytes + headers + *payload, part) == 0);
	*payload += part;
	free(of_segment);
}

static void cut(const struct rte_mbuf *packet, bool device_checksum)
{
	uint32_t headers = packet->l2_len + packet->l3_len + packet->l4_len, payload = 0;
	uint8_t *bytes = packet_bytes(packet);
	struct rte_mbuf *segments[BURST];
	struct gso gso = {0};

	require(headers < packet->pkt_len);
	while (!gso_done(&gso, packet)) {
		uint16_t n = gso_cut(&gso, packet, pool, device_checksum, segments, BURST);
		if (n == 0)
			break; /* no buffers */
		for (unsigned i = 0; i < n; i++)
			check_segment(packet, bytes, segments[i], &payload);
		rte_pktmbuf_free_bulk(segments, n);
	}
	require(!gso_done(&gso, packet) || headers + payload == packet->pkt_len);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rte_mbuf *taken[BUFFERS - 2];
	struct input input = {data, size};
	uint8_t asked = input_byte(&input), lengths[4];
	uint16_t segment_bytes = input_word(&input);
	struct offload_caps caps = {asked & DEVICE_CHECKSUM, asked & DEVICE_TSO};
	struct packet packet;
	unsigned n_taken = 0;

	input_bytes(&input, lengths, sizeof(lengths));
	if (input.left > UINT16_MAX)
		return 0;
	struct rte_mbuf *mbuf = packet_make(&packet, input.at, input.left, lengths, 4);
	if (asked & SHORT_OF_BUFFERS && rte_pktmbuf_alloc_bulk(pool, taken, BUFFERS - 2) == 0)
		n_taken = BUFFERS - 2;
	mbuf->tso_segsz = segment_bytes;
	mbuf->ol_flags = (asked & SEGMENT ? RTE_MBUF_F_RX_LRO : 0) |
	                 (asked & CHECKSUM ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0);
	if (offload_prepare(mbuf, &caps)) {
		if (mbuf->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_RX_LRO))
			require(offload_frame_bytes(mbuf) <
				mbuf->pkt_len + (offload_is_datagram(mbuf) ? FRAGMENT_HEADER : 0));
		else
			require(offload_frame_bytes(mbuf) == mbuf->pkt_len);
		if (mbuf->ol_flags & RTE_MBUF_F_RX_LRO)
			cut(mbuf, caps.checksum);
	}
	rte_pktmbuf_free_bulk(taken, n_taken);
	require(rte_mempool_in_use_count(pool) == 0);
	packet_free(&packet);
	return 0;
}
