/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/offload.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <string.h>

#include "core/packet/parse.h"

/* Not by rte_raw_cksum_mbuf(): in DPDK 22.11 it sums wrongly after an mbuf of odd length. */
uint16_t offload_l4_checksum(const struct rte_mbuf *packet, uint32_t offset)
{
	uint32_t sum = 0, summed = 0;

	for (const struct rte_mbuf *part = packet; part != NULL; part = part->next) {
		uint32_t skip = RTE_MIN(offset, part->data_len), length = part->data_len - skip;
		uint16_t part_sum =
			rte_raw_cksum(rte_pktmbuf_mtod_offset(part, const char *, skip), length);
		sum += summed % 2 == 0 ? part_sum : rte_bswap16(part_sum);
		summed += length;
		offset -= skip;
	}
	uint16_t folded = __rte_raw_cksum_reduce(sum);
	return folded == 0xffff ? folded : (uint16_t)~folded;
}

struct headers {
	struct rte_net_hdr_lens lengths;
	uint32_t l4; /* offset */
	bool ipv4;
	bool tcp; /* else UDP */
};

/*
 * Finds the headers. False if they do not all lie in the first segment, or if the packet is not for
 * an offload.
 */
static bool parse(const struct rte_mbuf *packet, struct headers *ret_headers)
{
	struct rte_net_hdr_lens *lengths = &ret_headers->lengths;
	uint32_t type = parse_headers(packet, lengths);
	uint32_t l4_type = type & RTE_PTYPE_L4_MASK;

	if (l4_type != RTE_PTYPE_L4_TCP && l4_type != RTE_PTYPE_L4_UDP)
		return false;
	if ((type & RTE_PTYPE_L3_MASK) == 0)
		return false;
	ret_headers->l4 = lengths->l2_len + lengths->l3_len;
	ret_headers->ipv4 = RTE_ETH_IS_IPV4_HDR(type);
	ret_headers->tcp = l4_type == RTE_PTYPE_L4_TCP;
	if (ret_headers->tcp && lengths->l4_len < sizeof(struct rte_tcp_hdr))
		return false;
	return ret_headers->l4 + lengths->l4_len <= rte_pktmbuf_data_len(packet);
}

static bool device_understands(const struct headers *headers)
{
	return offload_device_understands(
		headers->ipv4, headers->lengths.l2_len, headers->lengths.l3_len);
}

/* Copies the lengths to where drivers and gso.h look for them. False if they do not fit there. */
static bool set_lengths(struct rte_mbuf *packet, const struct rte_net_hdr_lens *lengths)
{
	packet->l2_len = lengths->l2_len;
	packet->l3_len = lengths->l3_len;
	packet->l4_len = lengths->l4_len;
	return packet->l2_len == lengths->l2_len && packet->l3_len == lengths->l3_len &&
	       packet->l4_len == lengths->l4_len;
}

/* A checksum that is marked good or unknown is left alone. */
static bool asks_for_checksum(const struct rte_mbuf *packet)
{
	return (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

static void checksum_in_software(struct rte_mbuf *packet, const struct headers *headers)
{
	uint16_t *field = rte_pktmbuf_mtod_offset(packet, uint16_t *,
		headers->l4 + (headers->tcp ? offsetof(struct rte_tcp_hdr, cksum)
					    : offsetof(struct rte_udp_hdr, dgram_cksum)));

	/*
	 * The sum of a pseudo-header is never 0, so this UDP checksum was not generated (RFC 768).
	 * net_tap marks such packets.
	 */
	if (!headers->tcp && headers->ipv4 && *field == 0)
		return;
	*field = offload_l4_checksum(packet, headers->l4);
}

static void prepare_checksum(
	struct rte_mbuf *packet, const struct headers *headers, const struct offload_caps *caps)
{
	packet->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	if (!caps->checksum || !device_understands(headers) ||
		!set_lengths(packet, &headers->lengths)) {
		checksum_in_software(packet, headers);
		return;
	}
	packet->ol_flags |= headers->ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	packet->ol_flags |= headers->tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

/* Some drivers refuse shorter segments: i40e those below 256 bytes, iavf below 88, ice below 64. */
#define DEVICE_SEGMENT_BYTES_MIN 256

/*
 * No driver says whether its device keeps CWR to the first segment, where it belongs (RFC 3168,
 * 6.1.2).
 */
static bool device_segments(const struct rte_mbuf *packet, const struct headers *headers,
	const struct offload_caps *caps)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(packet, const struct rte_tcp_hdr *, headers->l4);

	return caps->tso && packet->tso_segsz >= DEVICE_SEGMENT_BYTES_MIN &&
	       !(tcp->tcp_flags & RTE_TCP_CWR_FLAG) && device_understands(headers);
}

/* Prepares a packet to be segmented by the device, or by gso.h. */
static bool prepare_tcp(
	struct rte_mbuf *packet, const struct headers *headers, const struct offload_caps *caps)
{
	if (packet->tso_segsz == 0 || !set_lengths(packet, &headers->lengths))
		return false;
	packet->ol_flags |= headers->ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (!device_segments(packet, headers, caps))
		return true;
	packet->ol_flags &= ~(RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (headers->ipv4 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	return true;
}

/* All fragments but the last are so many bytes, or a multiple. */
#define FRAGMENT_UNIT 8

/*
 * Prepares a datagram to be fragmented by gso.h; no device does that. Fragments of IPv6 need a
 * header behind those extension headers that each router reads; only without any is it plain where.
 */
static bool prepare_udp(struct rte_mbuf *packet, const struct headers *headers)
{
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(packet, const struct rte_udp_hdr *, headers->l4);
	struct rte_net_hdr_lens lengths = headers->lengths;

	packet->tso_segsz -= packet->tso_segsz % FRAGMENT_UNIT;
	if (packet->tso_segsz == 0 ||
		rte_be_to_cpu_16(udp->dgram_len) != packet->pkt_len - headers->l4)
		return false;
	if (headers->ipv4 ? packet->pkt_len - lengths.l2_len > UINT16_MAX
			  : lengths.l3_len != sizeof(struct rte_ipv6_hdr))
		return false;
	lengths.l4_len = 0; /* the UDP header is the first fragment's alone */
	if (!set_lengths(packet, &lengths))
		return false;
	if (asks_for_checksum(packet))
		checksum_in_software(packet, headers);
	packet->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	packet->ol_flags |= headers->ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	return true;
}

/* Prepares a packet for which RTE_MBUF_F_RX_LRO is set. */
static bool prepare_segmentation(
	struct rte_mbuf *packet, const struct headers *headers, const struct offload_caps *caps)
{
	const uint32_t not_cut = headers->l4 + (headers->tcp ? headers->lengths.l4_len : 0);

	if (packet->pkt_len > not_cut + packet->tso_segsz)
		return headers->tcp ? prepare_tcp(packet, headers, caps)
		                    : prepare_udp(packet, headers);
	/* One segment. Drivers refuse sizes that are longer than their frames. */
	packet->ol_flags &= ~RTE_MBUF_F_RX_LRO;
	packet->tso_segsz = 0;
	if (asks_for_checksum(packet))
		prepare_checksum(packet, headers, caps);
	return true;
}

bool offload_prepare(struct rte_mbuf *packet, const struct offload_caps *caps)
{
	bool segment = packet->ol_flags & RTE_MBUF_F_RX_LRO;
	struct headers headers;

	if (!segment && !asks_for_checksum(packet))
		return true;
	if (!parse(packet, &headers))
		return false;
	if (segment)
		return prepare_segmentation(packet, &headers, caps);
	prepare_checksum(packet, &headers, caps);
	return true;
}

uint32_t offload_pad(struct rte_mbuf *packet)
{
	const uint32_t missing = FRAME_BYTES_MIN - RTE_MIN(packet->pkt_len, FRAME_BYTES_MIN);

	if (missing > 0)
		memset(rte_pktmbuf_append(packet, missing), 0, missing);
	return missing;
}
