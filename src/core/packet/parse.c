/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/parse.h"

#include <rte_ether.h>

#define TYPE_OFFSET offsetof(struct rte_ether_hdr, ether_type)

static bool is_tag(rte_be16_t type)
{
	return type == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type == RTE_BE16(RTE_ETHER_TYPE_QINQ) ||
	       type == RTE_BE16(RTE_ETHER_TYPE_QINQ1);
}

static uint16_t tag_bytes(const struct rte_mbuf *packet)
{
	uint16_t bytes = 0;

	while (bytes < TAGS_MAX * RTE_VLAN_HLEN) {
		rte_be16_t buffer;
		const void *at =
			rte_pktmbuf_read(packet, TYPE_OFFSET + bytes, sizeof(buffer), &buffer);
		if (unlikely(at == NULL))
			break;
		memmove(&buffer, at, sizeof(buffer));
		if (likely(!is_tag(buffer)))
			break;
		bytes += RTE_VLAN_HLEN;
	}
	return bytes;
}

/* The packet without its first bytes, which may be one or several segments. */
static struct rte_mbuf behind(const struct rte_mbuf *packet, uint16_t bytes)
{
	const struct rte_mbuf *segment = packet;
	uint32_t left = packet->pkt_len - bytes;

	for (; bytes >= segment->data_len; segment = segment->next)
		bytes -= segment->data_len;
	struct rte_mbuf view = *segment;
	view.data_off += bytes;
	view.data_len -= bytes;
	view.pkt_len = left;
	return view;
}

uint32_t parse_headers(const struct rte_mbuf *packet, struct rte_net_hdr_lens *ret_lengths)
{
	const uint32_t layers = RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK;
	uint16_t bytes = tag_bytes(packet);

	if (likely(bytes == 0))
		return rte_net_get_ptype(packet, ret_lengths, layers);
	/* To DPDK the frame begins behind the tags: it does not look at addresses. */
	struct rte_mbuf view = behind(packet, bytes);
	uint32_t type = rte_net_get_ptype(&view, ret_lengths, layers);
	ret_lengths->l2_len += bytes;
	return type;
}
