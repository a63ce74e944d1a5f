/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Finishing what a guest has left to its device: checksums, segmentation of TCP, fragmentation of
 * UDP (segmentation, too, in what follows) and padding.
 * net_header.h reads from a packet's header what is to be done (virtio 1.2, 5.1.6.2) and marks the
 * packet: RTE_MBUF_F_RX_L4_CKSUM_NONE if the checksum field holds only the sum of the
 * pseudo-header, RTE_MBUF_F_RX_LRO with tso_segsz if the packet is to be segmented. The device does
 * it if it can; otherwise we do. So what a guest is offered does not depend on the device. No
 * device fragments: tso_segsz is then the part of the datagram, its header included, in each
 * fragment.
 *
 * Guests lie: every length is checked against the packet.
 */

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

/* What the device finishes itself. */
struct offload_caps {
	bool checksum; /* TCP and UDP over IPv4 and IPv6 */
	bool tso;      /* TCP over both */
};

static inline bool offload_needed(const struct rte_mbuf *packet)
{
	return packet->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK);
}

/* An Ethernet header with two tags: devices that parse headers by themselves promise no more. */
#define DEVICE_L2_BYTES_MAX (RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

/* The longest packet: an IP packet to be segmented, behind such a header. */
#define PACKET_BYTES_MAX (UINT16_MAX + DEVICE_L2_BYTES_MAX)

/*
 * True if a device may be asked for a checksum behind headers of these lengths. Drivers compute
 * the pseudo-header from the fixed IPv6 header alone: they find neither the end of a chain of
 * extension headers nor the final destination in it.
 */
static inline bool offload_device_understands(bool ipv4, unsigned l2_bytes, unsigned ip_bytes)
{
	return l2_bytes <= DEVICE_L2_BYTES_MAX && (ipv4 || ip_bytes == sizeof(struct rte_ipv6_hdr));
}

/*
 * Makes a packet for which offload_needed() is true ready for the device: with its checksum in
 * place, or with the device told to do it. A packet that must be segmented in software keeps
 * RTE_MBUF_F_RX_LRO and has its header lengths and RTE_MBUF_F_TX_IPV4 or _IPV6 set, for gso.h; a
 * datagram has an l4_len of 0, a checksum, and a tso_segsz that is a multiple of 8. False if the
 * headers do not fit the request: drop the packet.
 */
bool offload_prepare(struct rte_mbuf *packet, const struct offload_caps *caps);

/* The shortest frame that Ethernet allows, without FCS (IEEE 802.3, 4.2.3.3). */
#define FRAME_BYTES_MIN (RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN)

/*
 * Pads a packet shorter than FRAME_BYTES_MIN with zeros, which do not change its checksums. Returns
 * by how many bytes. Its last segment must be ours and have room for them.
 */
uint32_t offload_pad(struct rte_mbuf *packet);

/* True if the packet, which was prepared to be segmented by gso.h, is a datagram. */
static inline bool offload_is_datagram(const struct rte_mbuf *packet)
{
	return packet->l4_len == 0;
}

/* The headers of each segment: the packet's, and with IPv6 that of a fragment. */
static inline uint32_t offload_header_bytes(const struct rte_mbuf *packet)
{
	const bool more = offload_is_datagram(packet) && packet->ol_flags & RTE_MBUF_F_TX_IPV6;

	return packet->l2_len + packet->l3_len + packet->l4_len +
	       (more ? sizeof(struct rte_ipv6_fragment_ext) : 0);
}

/*
 * The length of the longest frame that this packet, which was prepared, puts on the wire: of one
 * segment, if it is to be segmented.
 */
static inline uint32_t offload_frame_bytes(const struct rte_mbuf *packet)
{
	if (unlikely(packet->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG)))
		return offload_header_bytes(packet) + packet->tso_segsz;
	return packet->pkt_len;
}

/*
 * The Internet checksum over `packet` from `offset` on, including what is in the checksum field. 0
 * is returned as 0xffff, as UDP demands and TCP allows (RFC 768).
 */
uint16_t offload_l4_checksum(const struct rte_mbuf *packet, uint32_t offset);
