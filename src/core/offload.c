/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/offload.h"

#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

uint16_t offload_l4_checksum(const struct rte_mbuf *packet, uint32_t offset)
{
	uint16_t sum = 0;

	if (rte_raw_cksum_mbuf(packet, offset, packet->pkt_len - offset, &sum) != 0)
		return 0;
	return sum == 0xffff ? sum : (uint16_t)~sum;
}

/* Finds the headers. All of them lie in the first segment, or it is no packet for an offload. */
static bool parse(struct rte_mbuf *packet, uint32_t *ret_type)
{
	struct rte_net_hdr_lens lengths;
	uint32_t type = rte_net_get_ptype(
		packet, &lengths, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK);
	uint32_t l4 = type & RTE_PTYPE_L4_MASK;

	if (l4 != RTE_PTYPE_L4_TCP && l4 != RTE_PTYPE_L4_UDP)
		return false;
	if (lengths.l2_len + lengths.l3_len + lengths.l4_len > rte_pktmbuf_data_len(packet))
		return false;
	packet->l2_len = lengths.l2_len;
	packet->l3_len = lengths.l3_len;
	packet->l4_len = lengths.l4_len;
	*ret_type = type;
	return true;
}

static void checksum_in_software(struct rte_mbuf *packet, bool tcp)
{
	uint32_t l4 = packet->l2_len + packet->l3_len;
	uint16_t *field = rte_pktmbuf_mtod_offset(packet, uint16_t *,
		l4 + (tcp ? offsetof(struct rte_tcp_hdr, cksum)
			  : offsetof(struct rte_udp_hdr, dgram_cksum)));

	*field = offload_l4_checksum(packet, l4);
}

static bool segmentation_makes_sense(const struct rte_mbuf *packet, bool tcp)
{
	uint32_t headers = packet->l2_len + packet->l3_len + packet->l4_len;

	return tcp && packet->l4_len >= sizeof(struct rte_tcp_hdr) && packet->pkt_len > headers &&
	       packet->tso_segsz != 0;
}

bool offload_prepare(struct rte_mbuf *packet, const struct offload_caps *caps)
{
	bool segment = packet->ol_flags & RTE_MBUF_F_RX_LRO;
	uint32_t type;

	/* Only these two ask for anything; a checksum that is said to be good or unknown is left.
	 */
	if (!segment &&
		(packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return true;
	if (!parse(packet, &type))
		return false;

	bool tcp = (type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP;
	bool ipv4 = RTE_ETH_IS_IPV4_HDR(type);
	uint64_t family = ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (segment && !segmentation_makes_sense(packet, tcp))
		return false;
	if (segment && !caps->tso) {
		packet->ol_flags |= family;
		return true;
	}

	packet->ol_flags &= ~(RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	if (segment)
		packet->ol_flags |=
			RTE_MBUF_F_TX_TCP_SEG | family | (ipv4 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	else if (caps->checksum)
		packet->ol_flags |=
			family | (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
	else
		checksum_in_software(packet, tcp);
	return true;
}

uint32_t offload_frame_bytes(const struct rte_mbuf *packet)
{
	if (packet->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG))
		return packet->l2_len + packet->l3_len + packet->l4_len + packet->tso_segsz;
	return packet->pkt_len;
}
