/* SPDX-License-Identifier: BSD-3-Clause */

#include "frame.h"

#include <errno.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <stdalign.h>
#include <string.h>

/*
 * Payloads are windows into one table of random bytes; the even offset of a window follows from the
 * tag. sums[i] is the sum of the table's first i 16-bit words, so the UDP checksum of a payload of
 * any length is a subtraction.
 */
#define PATTERN_OFFSETS 8192
#define PATTERN_LEN (PATTERN_OFFSETS + FRAME_MAX_LEN)

struct frame_tag {
	rte_be32_t epoch;
	rte_be16_t flow;
	uint8_t origin;
	uint8_t reserved;
	rte_be64_t seq;
} __attribute__((packed));

struct frame_head {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	struct frame_tag tag;
};

_Static_assert(sizeof(struct frame_head) == 14 + 20 + 8 + 16, "no padding");
_Static_assert(sizeof(struct frame_head) <= FRAME_MIN_LEN, "the head fits the shortest frame");

/* Written once by frame_init(): tables, not state. */
static alignas(64) uint8_t pattern[PATTERN_LEN + 1];
static uint32_t sums[PATTERN_LEN / 2 + 1];

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint16_t pattern_word(size_t word)
{
	uint16_t value;

	memcpy(&value, &pattern[2 * word], sizeof(value));
	return value;
}

void frame_init(void)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)mix(i);
	for (size_t i = 0; i < PATTERN_LEN / 2; i++)
		sums[i + 1] = sums[i] + pattern_word(i);
}

static size_t payload_offset(const struct frame_id *id)
{
	return mix(id->seq ^ ((uint64_t)id->flow << 48) ^ id->epoch) % PATTERN_OFFSETS & ~1UL;
}

/* The sum of the payload's 16-bit words; an odd last byte is padded with zero. */
static uint32_t payload_sum(size_t offset, size_t len)
{
	uint32_t sum = sums[(offset + len) / 2] - sums[offset / 2];

	if (len % 2)
		sum += rte_cpu_to_be_16((uint16_t)(pattern[offset + len - 1] << 8));
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void head_write(struct frame_head *head, const struct frame_id *id, uint16_t len)
{
	static const struct rte_ether_addr mac[] = {
		[FRAME_FROM_VM] = {{0x02, 0x00, 0x00, 0x00, 0x00, 0x01}},
		[FRAME_FROM_NET] = {{0x02, 0x00, 0x00, 0x00, 0x00, 0x02}},
	};
	enum frame_origin peer = id->origin == FRAME_FROM_VM ? FRAME_FROM_NET : FRAME_FROM_VM;
	uint16_t ip_len = len - sizeof(head->eth);
	uint16_t udp_len = ip_len - sizeof(head->ip);
	uint64_t sum;

	*head = (struct frame_head){
		.eth =
			{
				.dst_addr = mac[peer],
				.src_addr = mac[id->origin],
				.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			},
		.ip =
			{
				.version_ihl = RTE_IPV4_VHL_DEF,
				.total_length = rte_cpu_to_be_16(ip_len),
				.packet_id = rte_cpu_to_be_16((uint16_t)id->seq),
				.time_to_live = 64,
				.next_proto_id = IPPROTO_UDP,
				.src_addr = rte_cpu_to_be_32(RTE_IPV4(198U, 18, id->origin, 1)),
				.dst_addr = rte_cpu_to_be_32(RTE_IPV4(198U, 18, peer, 1)),
			},
		.udp =
			{
				.src_port = rte_cpu_to_be_16((uint16_t)(1024 + id->flow)),
				.dst_port = RTE_BE16(9),
				.dgram_len = rte_cpu_to_be_16(udp_len),
			},
		.tag =
			{
				.epoch = rte_cpu_to_be_32(id->epoch),
				.flow = rte_cpu_to_be_16(id->flow),
				.origin = (uint8_t)id->origin,
				.seq = rte_cpu_to_be_64(id->seq),
			},
	};
	head->ip.hdr_checksum = rte_ipv4_cksum(&head->ip);

	sum = rte_ipv4_phdr_cksum(&head->ip, 0);
	sum += rte_raw_cksum(&head->udp, sizeof(head->udp) + sizeof(head->tag));
	sum += payload_sum(payload_offset(id), len - sizeof(*head));
	head->udp.dgram_cksum = (uint16_t)~fold(sum);
	if (head->udp.dgram_cksum == 0)
		head->udp.dgram_cksum = 0xffff;
}

void frame_write(void *buf, const struct frame_id *id, uint16_t len)
{
	struct frame_head *head = buf;

	head_write(head, id, len);
	memcpy(head + 1, &pattern[payload_offset(id)], len - sizeof(*head));
}

int frame_check(const struct rte_mbuf *packet, struct frame_id *ret_id)
{
	uint8_t linear[FRAME_MAX_LEN];
	uint32_t len = rte_pktmbuf_pkt_len(packet);
	const struct frame_head *head;
	struct frame_head expected;
	struct frame_id id;

	if (len < FRAME_MIN_LEN || len > FRAME_MAX_LEN)
		return -EBADMSG;
	head = rte_pktmbuf_read(packet, 0, len, linear);
	if (!head || head->tag.origin > FRAME_FROM_NET)
		return -EBADMSG;

	id = (struct frame_id){
		.origin = head->tag.origin,
		.epoch = rte_be_to_cpu_32(head->tag.epoch),
		.flow = rte_be_to_cpu_16(head->tag.flow),
		.seq = rte_be_to_cpu_64(head->tag.seq),
	};
	head_write(&expected, &id, (uint16_t)len);
	if (memcmp(head, &expected, sizeof(expected)) ||
		memcmp(head + 1, &pattern[payload_offset(&id)], len - sizeof(expected)))
		return -EBADMSG;
	*ret_id = id;
	return 0;
}
