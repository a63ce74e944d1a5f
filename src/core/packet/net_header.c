/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/net_header.h"

#include <rte_mbuf.h>
#include <string.h>

#include "core/packet/offload.h"
#include "core/packet/parse.h"

static bool read_checksum(const struct virtio_net_hdr *header, struct rte_mbuf *packet,
	const struct rte_net_hdr_lens *lengths, uint32_t l4_type)
{
	uint32_t start = header->csum_start, field = start + header->csum_offset;
	uint16_t checksum;

	if (field + sizeof(checksum) > packet->data_len)
		return false;
	if ((l4_type == RTE_PTYPE_L4_TCP || l4_type == RTE_PTYPE_L4_UDP) &&
		start == (uint32_t)lengths->l2_len + lengths->l3_len) {
		packet->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
		return true;
	}
	/* Inside a tunnel, or of another protocol. */
	checksum = offload_l4_checksum(packet, start);
	memcpy(rte_pktmbuf_mtod_offset(packet, void *, field), &checksum, sizeof(checksum));
	return true;
}

static bool read_segmentation(
	const struct virtio_net_hdr *header, struct rte_mbuf *packet, uint32_t l4_type)
{
	uint8_t type = header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6) {
		if (l4_type != RTE_PTYPE_L4_TCP)
			return false;
		packet->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	} else if (type != VIRTIO_NET_HDR_GSO_UDP || l4_type != RTE_PTYPE_L4_UDP) {
		return false;
	}
	packet->ol_flags |= RTE_MBUF_F_RX_LRO;
	packet->tso_segsz = header->gso_size;
	return header->gso_size != 0;
}

bool net_header_read(const struct virtio_net_hdr *header, struct rte_mbuf *packet)
{
	struct rte_net_hdr_lens lengths = {0};
	uint32_t l4_type = parse_headers(packet, &lengths) & RTE_PTYPE_L4_MASK;

	packet->tx_offload = 0;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
		!read_checksum(header, packet, &lengths, l4_type))
		return false;
	return read_segmentation(header, packet, l4_type);
}
