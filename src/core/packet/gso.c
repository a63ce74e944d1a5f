/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/gso.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_random.h>
#include <rte_tcp.h>

#include "core/packet/offload.h"

/* Those that are copied to each segment. */
static uint32_t header_bytes(const struct rte_mbuf *packet)
{
	return packet->l2_len + packet->l3_len + packet->l4_len;
}

static uint32_t payload_bytes(const struct rte_mbuf *packet)
{
	return packet->pkt_len - header_bytes(packet);
}

bool gso_done(const struct gso *gso, const struct rte_mbuf *packet)
{
	return gso->next >= payload_bytes(packet);
}

/* Appends `length` bytes of `packet` from `offset` on, chaining more buffers as needed. */
static bool append(struct rte_mbuf *segment, struct rte_mempool *pool,
	const struct rte_mbuf *packet, uint32_t offset, uint32_t length)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(segment);

	while (length > 0) {
		if (rte_pktmbuf_tailroom(last) == 0) {
			struct rte_mbuf *more = rte_pktmbuf_alloc(pool);
			if (more == NULL || rte_pktmbuf_chain(segment, more) != 0) {
				rte_pktmbuf_free(more);
				return false;
			}
			last = more;
		}
		uint32_t part = RTE_MIN(length, rte_pktmbuf_tailroom(last));
		char *to = rte_pktmbuf_mtod_offset(last, char *, last->data_len);
		const void *from = rte_pktmbuf_read(packet, offset, part, to);
		if (from == NULL)
			return false;
		if (from != to)
			rte_memcpy(to, from, part);
		last->data_len += part;
		segment->pkt_len += part;
		offset += part;
		length -= part;
	}
	return true;
}

/*
 * Each segment has its own IP header: it differs in its length and, for IPv4, in identification and
 * checksum.
 */
static void finish_ip(struct rte_mbuf *segment, bool ipv4, uint16_t n_cut)
{
	uint32_t ip_bytes = segment->pkt_len - segment->l2_len;
	void *header = rte_pktmbuf_mtod_offset(segment, void *, segment->l2_len);

	if (ipv4) {
		struct rte_ipv4_hdr *ip = header;
		ip->total_length = rte_cpu_to_be_16(ip_bytes);
		ip->packet_id = rte_cpu_to_be_16(rte_be_to_cpu_16(ip->packet_id) + n_cut);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		struct rte_ipv6_hdr *ip = header;
		ip->payload_len = rte_cpu_to_be_16(ip_bytes - sizeof(*ip));
	}
}

/*
 * Replaces the length in the sum of the pseudo-header: the segment's for the whole packet's. The
 * rest of the sum is the guest's, which knows the final destination behind a routing header.
 */
static uint16_t pseudo_header_sum(uint16_t of_packet, uint32_t packet_bytes, uint32_t segment_bytes)
{
	rte_be32_t old = rte_cpu_to_be_32(packet_bytes), new = rte_cpu_to_be_32(segment_bytes);
	uint32_t sum = of_packet + (uint16_t)~rte_raw_cksum(&old, sizeof(old)) +
	               rte_raw_cksum(&new, sizeof(new));

	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 9293: FIN and PSH belong to the last segment only, CWR to the first only (RFC 3168, 6.1.2).
 */
static void finish_tcp(
	const struct gso *gso, const struct rte_mbuf *packet, struct rte_mbuf *segment, bool last)
{
	uint32_t offset = segment->l2_len + segment->l3_len;
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(segment, struct rte_tcp_hdr *, offset);

	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + gso->next);
	if (!last)
		tcp->tcp_flags &= ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (gso->next > 0)
		tcp->tcp_flags &= ~RTE_TCP_CWR_FLAG;
	tcp->cksum =
		pseudo_header_sum(tcp->cksum, packet->pkt_len - offset, segment->pkt_len - offset);
	if (!(segment->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM))
		tcp->cksum = offload_l4_checksum(segment, offset);
}

/*
 * A datagram of IPv4 keeps its identification and gives its options to all fragments. DF gives way,
 * as in Linux: the guest itself has asked for fragments.
 */
static void finish_fragment(const struct gso *gso, struct rte_mbuf *segment, bool ipv4, bool last)
{
	void *header = rte_pktmbuf_mtod_offset(segment, void *, segment->l2_len);

	if (ipv4) {
		struct rte_ipv4_hdr *ip = header;
		ip->fragment_offset = rte_cpu_to_be_16(
			gso->next / RTE_IPV4_HDR_OFFSET_UNITS | (last ? 0 : RTE_IPV4_HDR_MF_FLAG));
	} else {
		struct rte_ipv6_hdr *ip = header;
		struct rte_ipv6_fragment_ext *fragment = (struct rte_ipv6_fragment_ext *)(ip + 1);
		*fragment = (struct rte_ipv6_fragment_ext){
			.next_header = ip->proto,
			.frag_data = rte_cpu_to_be_16(RTE_IPV6_SET_FRAG_DATA(gso->next, !last)),
			.id = gso->id,
		};
		ip->proto = IPPROTO_FRAGMENT;
	}
}

/* Makes room for the headers of a segment, and copies those that the packet has. */
static bool append_headers(
	struct rte_mbuf *segment, struct rte_mempool *pool, const struct rte_mbuf *packet)
{
	const uint32_t copied = header_bytes(packet);

	return append(segment, pool, packet, 0, copied) &&
	       rte_pktmbuf_append(segment, offload_header_bytes(packet) - copied) != NULL;
}

static struct rte_mbuf *cut_one(const struct gso *gso, const struct rte_mbuf *packet,
	struct rte_mempool *pool, bool device_checksum)
{
	uint32_t left = payload_bytes(packet) - gso->next;
	uint32_t length = RTE_MIN(left, (uint32_t)packet->tso_segsz);
	struct rte_mbuf *segment = rte_pktmbuf_alloc(pool);

	if (segment == NULL)
		return NULL;
	if (!append_headers(segment, pool, packet) ||
		!append(segment, pool, packet, header_bytes(packet) + gso->next, length)) {
		rte_pktmbuf_free(segment);
		return NULL;
	}
	segment->l2_len = packet->l2_len;
	segment->l3_len = packet->l3_len;
	segment->l4_len = packet->l4_len;
	bool ipv4 = packet->ol_flags & RTE_MBUF_F_TX_IPV4;
	if (offload_is_datagram(packet)) {
		finish_fragment(gso, segment, ipv4, length == left);
		finish_ip(segment, ipv4, 0);
		return segment;
	}
	if (device_checksum && offload_device_understands(ipv4, packet->l2_len, packet->l3_len))
		segment->ol_flags =
			RTE_MBUF_F_TX_TCP_CKSUM | (ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	finish_ip(segment, ipv4, gso->n_cut);
	finish_tcp(gso, packet, segment, length == left);
	return segment;
}

uint16_t gso_cut(struct gso *gso, const struct rte_mbuf *packet, struct rte_mempool *pool,
	bool device_checksum, struct rte_mbuf **ret_segments, uint16_t n)
{
	uint16_t cut = 0;

	if (gso->next == 0)
		gso->id = rte_rand();
	while (cut < n && !gso_done(gso, packet)) {
		struct rte_mbuf *segment = cut_one(gso, packet, pool, device_checksum);
		if (segment == NULL)
			break;
		ret_segments[cut++] = segment;
		gso->next += packet->tso_segsz;
		gso->n_cut++;
	}
	return cut;
}
