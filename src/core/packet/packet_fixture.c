/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/packet_fixture.h"

#include <netinet/in.h>
#include <rte_eal.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define ETHERNET_BYTES 14
#define TAG_BYTES 4
#define SEGMENTS_LEFT_AT 3 /* offset in a routing header; the address is at offset 8 */
#define LONG_CHAIN_BYTES 1024

int start_dpdk(void **state)
{
	char cpu[16];
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
		"256", "-l", cpu, "--log-level=error"};

	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	return rte_eal_init(ARRAY_SIZE(argv), argv) < 0 ? -1 : 0;
}

struct rte_mempool *make_pool(unsigned n)
{
	static unsigned made;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "pool%u", made++);
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, n, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(pool);
	return pool;
}

void free_pool(struct rte_mempool *pool)
{
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	rte_mempool_free(pool);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static unsigned get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint16_t fold_sum(uint32_t start, const uint8_t *bytes, unsigned n)
{
	uint64_t sum = start;

	for (unsigned i = 0; i < n; i++)
		sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned extension_bytes(const struct shape *shape)
{
	static const unsigned bytes[] = {[HOP_BY_HOP] = 16,
		[ROUTING] = 24,
		[LONG_CHAIN] = LONG_CHAIN_BYTES,
		[FRAGMENTING] = 8};

	return shape->ipv6 ? bytes[shape->extension] : 0;
}

struct layout find_layout(const struct shape *shape)
{
	struct layout layout = {.ipv6 = shape->ipv6, .udp = shape->udp};

	layout.l3 = ETHERNET_BYTES + shape->n_tags * TAG_BYTES;
	layout.l4 = layout.l3 +
	            (shape->ipv6 ? 40 + extension_bytes(shape) : 20 + shape->ip_option_bytes);
	layout.payload = layout.l4 + (shape->udp ? 8 : 20 + shape->tcp_option_bytes);
	layout.checksum = layout.l4 + (shape->udp ? 6 : 16);
	return layout;
}

uint32_t pseudo_header_sum(const uint8_t *frame, const struct layout *layout,
	const struct shape *shape, unsigned l4_bytes)
{
	uint8_t addresses[32];
	unsigned n = layout->ipv6 ? 16 : 4;

	memcpy(addresses, frame + layout->l3 + (layout->ipv6 ? 8 : 12), 2 * n);
	if (layout->ipv6 && shape->extension == ROUTING)
		memcpy(addresses + n, frame + layout->l3 + 40 + 8, n);
	return (uint32_t)fold_sum(l4_bytes, addresses, 2 * n) +
	       (layout->udp ? IPPROTO_UDP : IPPROTO_TCP);
}

static void write_ethernet(uint8_t *frame, const struct shape *shape)
{
	static const uint8_t addresses[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint8_t *type = frame + sizeof(addresses);

	memcpy(frame, addresses, sizeof(addresses));
	for (unsigned tag = shape->n_tags; tag > 0; tag--, type += TAG_BYTES) {
		put16(type, tag > 1 && !shape->q_only ? 0x88a8 : 0x8100);
		put16(type + 2, 100 + tag);
	}
	put16(type, shape->ipv6 ? 0x86dd : 0x0800);
}

static void write_ipv4(uint8_t *ip, const struct shape *shape, unsigned l4_bytes)
{
	unsigned header = 20 + shape->ip_option_bytes;

	ip[0] = 0x40 | header / 4;
	put16(ip + 2, header + l4_bytes);
	put16(ip + 4, shape->ip_id);
	put16(ip + 6, shape->fragment);
	ip[8] = 64;
	ip[9] = shape->udp ? IPPROTO_UDP : IPPROTO_TCP;
	memcpy(ip + 12, (const uint8_t[]){10, 0, 0, shape->source}, 4);
	memcpy(ip + 16, (const uint8_t[]){10, 0, 0, shape->destination}, 4);
	memset(ip + 20, 1, shape->ip_option_bytes); /* no-operation */
	put16(ip + 10, ~fold_sum(0, ip, header));
}

/* Writes one header of an extension chain; returns where the next one begins. */
static uint8_t *write_extension(uint8_t *at, uint8_t next, unsigned bytes)
{
	at[0] = next;
	at[1] = bytes / 8 - 1;
	return at + bytes;
}

static void write_ipv6(uint8_t *ip, const struct shape *shape, unsigned l4_bytes)
{
	uint8_t l4 = shape->udp ? IPPROTO_UDP : IPPROTO_TCP, *at = ip + 40;

	ip[0] = 0x60;
	put16(ip + 4, extension_bytes(shape) + l4_bytes);
	ip[6] = l4;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = shape->source;
	ip[39] = shape->destination;
	switch (shape->extension) {
	case NO_EXTENSION:
		break;
	case HOP_BY_HOP:
		ip[6] = IPPROTO_HOPOPTS;
		at = write_extension(at, IPPROTO_DSTOPTS, 8);
		write_extension(at, l4, 8);
		break;
	case ROUTING:
		ip[6] = IPPROTO_ROUTING;
		write_extension(at, l4, 24);
		at[2] = 2;
		at[SEGMENTS_LEFT_AT] = 1;
		at[8] = 0xfc;
		at[23] = 77;
		break;
	case LONG_CHAIN:
		ip[6] = IPPROTO_DSTOPTS;
		write_extension(at, l4, LONG_CHAIN_BYTES);
		break;
	case FRAGMENTING:
		ip[6] = IPPROTO_FRAGMENT;
		at[0] = l4;
		at[3] = 1; /* more fragments */
		break;
	}
}

static void write_l4(uint8_t *l4, const struct shape *shape)
{
	put16(l4, shape->source_port);
	put16(l4 + 2, shape->destination_port);
	if (shape->udp) {
		put16(l4 + 4, 8 + shape->payload_bytes);
		return;
	}
	put32(l4 + 4, shape->sequence);
	l4[12] = (20 + shape->tcp_option_bytes) / 4 << 4;
	l4[13] = shape->tcp_flags;
	memset(l4 + 20, 1, shape->tcp_option_bytes);
}

/* Copies a frame into chained buffers. */
static struct rte_mbuf *to_packet(
	struct rte_mempool *pool, const uint8_t *frame, unsigned length, unsigned piece_bytes)
{
	struct rte_mbuf *packet = NULL;

	for (unsigned done = 0; done < length;) {
		struct rte_mbuf *piece = rte_pktmbuf_alloc(pool);
		assert_non_null(piece);
		unsigned part = MIN(length - done, rte_pktmbuf_tailroom(piece));
		if (piece_bytes != 0)
			part = MIN(part, piece_bytes);
		memcpy(rte_pktmbuf_append(piece, part), frame + done, part);
		done += part;
		if (packet == NULL)
			packet = piece;
		else
			assert_int_equal(rte_pktmbuf_chain(packet, piece), 0);
	}
	return packet;
}

struct rte_mbuf *make_packet(struct rte_mempool *pool, const struct shape *shape)
{
	static uint8_t frame[FRAME_MAX];
	struct layout layout = find_layout(shape);
	unsigned length = layout.payload + shape->payload_bytes;
	unsigned l4_bytes = length - layout.l4;

	memset(frame, 0, length);
	write_ethernet(frame, shape);
	if (shape->ipv6)
		write_ipv6(frame + layout.l3, shape, l4_bytes);
	else
		write_ipv4(frame + layout.l3, shape, l4_bytes);
	write_l4(frame + layout.l4, shape);
	for (unsigned i = 0; i < shape->payload_bytes; i++)
		frame[layout.payload + i] = i * 7 + i / 251;
	put16(frame + layout.checksum,
		fold_sum(pseudo_header_sum(frame, &layout, shape, l4_bytes), NULL, 0));
	return to_packet(pool, frame, length, shape->piece_bytes);
}

unsigned linearize(const struct rte_mbuf *packet, uint8_t ret_frame[static FRAME_MAX])
{
	unsigned length = 0;

	for (; packet != NULL; packet = packet->next) {
		memcpy(ret_frame + length, rte_pktmbuf_mtod(packet, const void *),
			packet->data_len);
		length += packet->data_len;
	}
	return length;
}

struct layout check_frame(const uint8_t *frame, unsigned length, const struct shape *shape)
{
	struct layout layout = find_layout(shape);
	const uint8_t *ip = frame + layout.l3;
	unsigned l4_bytes = length - layout.l4;

	assert_true(length >= layout.payload);
	if (shape->ipv6) {
		assert_int_equal(get16(ip + 4), length - layout.l3 - 40);
	} else {
		assert_int_equal(get16(ip + 2), length - layout.l3);
		assert_int_equal(fold_sum(0, ip, 20 + shape->ip_option_bytes), 0xffff);
	}
	assert_int_equal(fold_sum(pseudo_header_sum(frame, &layout, shape, l4_bytes),
				 frame + layout.l4, l4_bytes),
		0xffff);
	return layout;
}
