/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/steer.h"

#include <rte_ether.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>

#include "core/packet/parse.h"

void steer_set(struct steer *steer, uint32_t enabled)
{
	unsigned queue = 0;

	steer->enabled = enabled;
	for (unsigned i = 0; i < STEER_BUCKETS; i++) {
		while (!(enabled & 1u << queue))
			queue = (queue + 1) % 32;
		steer->queue_of_bucket[i] = queue;
		queue = (queue + 1) % 32;
	}
}

/* Mixes two values; the result is the same for either order. */
static uint32_t mix(uint64_t a, uint64_t b, uint32_t seed)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;

	return rte_hash_crc_8byte(high, rte_hash_crc_8byte(low, seed));
}

/* Folds an IPv6 address into 64 bits. */
static uint64_t fold(const uint8_t address[16])
{
	uint64_t halves[2];

	memcpy(halves, address, sizeof(halves));
	return (uint64_t)rte_hash_crc_8byte(halves[0], 0) << 32 |
	       rte_hash_crc_8byte(halves[1], 0x9e3779b9);
}

static uint32_t ethernet_hash(const struct rte_mbuf *packet)
{
	struct rte_ether_hdr buffer;
	const struct rte_ether_hdr *header = rte_pktmbuf_read(packet, 0, sizeof(buffer), &buffer);
	uint64_t source = 0, destination = 0;

	if (header == NULL)
		return 0;
	memcpy(&source, &header->src_addr, RTE_ETHER_ADDR_LEN);
	memcpy(&destination, &header->dst_addr, RTE_ETHER_ADDR_LEN);
	return mix(source, destination, header->ether_type);
}

/* Adds the ports, which TCP, UDP and SCTP have in the same place. */
static uint32_t ports_hash(const struct rte_mbuf *packet, uint32_t offset, uint32_t hash)
{
	uint16_t ports[2];
	const void *at = rte_pktmbuf_read(packet, offset, sizeof(ports), ports);

	if (at == NULL)
		return hash;
	memmove(ports, at, sizeof(ports)); /* they may be at an odd address */
	return mix(ports[0], ports[1], hash);
}

uint32_t steer_flow_hash(const struct rte_mbuf *packet)
{
	struct rte_net_hdr_lens lengths;
	uint32_t type = parse_headers(packet, &lengths);
	uint32_t l4 = type & RTE_PTYPE_L4_MASK, hash;

	if (RTE_ETH_IS_IPV4_HDR(type)) {
		struct rte_ipv4_hdr buffer;
		const struct rte_ipv4_hdr *ip =
			rte_pktmbuf_read(packet, lengths.l2_len, sizeof(buffer), &buffer);
		if (ip == NULL)
			return ethernet_hash(packet);
		hash = mix(ip->src_addr, ip->dst_addr, 0);
	} else if (RTE_ETH_IS_IPV6_HDR(type)) {
		struct rte_ipv6_hdr buffer;
		const struct rte_ipv6_hdr *ip =
			rte_pktmbuf_read(packet, lengths.l2_len, sizeof(buffer), &buffer);
		if (ip == NULL)
			return ethernet_hash(packet);
		hash = mix(fold((const uint8_t *)&ip->src_addr),
			fold((const uint8_t *)&ip->dst_addr), 0);
	} else {
		return ethernet_hash(packet);
	}
	if (l4 == RTE_PTYPE_L4_TCP || l4 == RTE_PTYPE_L4_UDP || l4 == RTE_PTYPE_L4_SCTP)
		hash = ports_hash(packet, lengths.l2_len + lengths.l3_len, hash);
	return hash;
}
