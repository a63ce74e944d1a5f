/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Finishing what a guest left to its device: checksums and TCP segmentation. Which packets, and
 * what of them, is read from their headers (net_header.h; virtio 1.2, 5.1.6.2):
 * RTE_MBUF_F_RX_L4_CKSUM_NONE on those whose checksum field holds the sum of the pseudo-header
 * only, RTE_MBUF_F_RX_LRO with tso_segsz on those to be segmented. The device does it where it can,
 * we do it where it cannot, so what the guest is offered does not depend on the device.
 *
 * Guests lie: every length is checked against the packet.
 */

#include <rte_branch_prediction.h>
#include <rte_common.h>
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

/*
 * Whether a device may be asked for a checksum behind an IP header of that length. Drivers make the
 * pseudo-header from the IPv6 header alone: they find neither the end of a chain of extension
 * headers nor the final destination in it.
 */
static inline bool offload_device_understands(bool ipv4, unsigned ip_bytes)
{
	return ipv4 || ip_bytes == sizeof(struct rte_ipv6_hdr);
}

/*
 * Makes a packet that offload_needed() ready for the device: with its checksum in place, or with
 * the device told to do it. One that must be segmented in software keeps RTE_MBUF_F_RX_LRO and has
 * its header lengths and RTE_MBUF_F_TX_IPV4 or _IPV6 set, for gso.h. False where the headers make
 * no sense of the request: drop it.
 */
bool offload_prepare(struct rte_mbuf *packet, const struct offload_caps *caps);

/*
 * The longest frame that will be on the wire: of a packet to be segmented, one segment.
 */
static inline uint32_t offload_frame_bytes(const struct rte_mbuf *packet)
{
	if (unlikely(packet->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG)))
		return RTE_MIN(packet->pkt_len, packet->l2_len + packet->l3_len + packet->l4_len +
							(uint32_t)packet->tso_segsz);
	return packet->pkt_len;
}

/*
 * The Internet checksum over `packet` from `offset` on, with what stands in the checksum field as
 * part of it. 0 is written 0xffff, as UDP demands and TCP allows (RFC 768).
 */
uint16_t offload_l4_checksum(const struct rte_mbuf *packet, uint32_t offset);
