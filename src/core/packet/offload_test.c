/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ip.h>
#include <rte_tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/packet/offload.h"
#include "core/packet/packet_fixture.h"

#define REQUESTS (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK)

static const struct offload_caps nothing, everything = {.checksum = true, .tso = true};
static const struct offload_caps checksums = {.checksum = true};

static struct rte_mempool *pool;
static uint8_t before[FRAME_MAX], after[FRAME_MAX];

static int make_the_pool(void **state)
{
	pool = make_pool(256);
	return 0;
}

static int free_the_pool(void **state)
{
	free_pool(pool);
	return 0;
}

/* A packet that asks for a checksum; if `segment_bytes` is not 0, for segmentation as well. */
static struct rte_mbuf *make_request(const struct shape *shape, uint16_t segment_bytes)
{
	struct rte_mbuf *packet = make_packet(pool, shape);

	packet->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	if (segment_bytes != 0)
		packet->ol_flags |= RTE_MBUF_F_RX_LRO;
	packet->tso_segsz = segment_bytes;
	return packet;
}

/* Calls `check` for every kind of header that can be finished, with a few lengths and buffers. */
static void for_all_shapes(void (*check)(const struct shape *shape))
{
	static const unsigned payloads[] = {0, 1, 2, 1447, 1448, 8001};
	static const unsigned pieces[] = {0, 1200, 1201};

	for (unsigned kind = 0; kind < 5 * 2 * 2 * 4; kind++) {
		struct shape shape = {
			.n_tags = kind % 5,
			.q_only = kind % 2,
			.udp = kind / 5 % 2,
			.ipv6 = kind / 10 % 2,
			.extension = kind / 20,
			.ip_option_bytes = kind / 20 * 12,
			.tcp_option_bytes = 12,
			.source = 1,
			.destination = 2,
			.source_port = 40000,
			.destination_port = 5001,
		};
		for (unsigned i = 0; i < ARRAY_SIZE(payloads) * ARRAY_SIZE(pieces); i++) {
			shape.payload_bytes = payloads[i % ARRAY_SIZE(payloads)];
			shape.piece_bytes = pieces[i / ARRAY_SIZE(payloads)];
			check(&shape);
		}
	}
}

static void check_software_checksum(const struct shape *shape)
{
	struct rte_mbuf *packet = make_request(shape, 0);
	struct layout layout = find_layout(shape);

	unsigned length = linearize(packet, before);
	assert_true(offload_needed(packet));
	assert_true(offload_prepare(packet, &nothing));
	assert_int_equal(packet->ol_flags & (REQUESTS | RTE_MBUF_F_TX_OFFLOAD_MASK), 0);

	assert_int_equal(linearize(packet, after), length);
	check_frame(after, length, shape);
	memcpy(after + layout.checksum, before + layout.checksum, 2);
	assert_memory_equal(before, after, length);
	rte_pktmbuf_free(packet);
}

static void checksum_in_software(void **state)
{
	for_all_shapes(check_software_checksum);
}

/* UDP without a checksum, as net_tap marks it. */
static void no_checksum_is_left(void **state)
{
	struct shape shape = {.udp = true, .payload_bytes = 100};
	struct layout layout;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		shape.ipv6 = ipv6;
		layout = find_layout(&shape);
		struct rte_mbuf *packet = make_request(&shape, 0);
		memset(rte_pktmbuf_mtod_offset(packet, uint8_t *, layout.checksum), 0, 2);
		unsigned length = linearize(packet, before);
		assert_true(offload_prepare(packet, &nothing));
		assert_int_equal(packet->ol_flags & REQUESTS, 0);
		assert_int_equal(linearize(packet, after), length);
		/* In IPv6 every UDP packet has a checksum. */
		assert_int_equal(memcmp(before, after, length) != 0, ipv6);
		rte_pktmbuf_free(packet);
	}
}

/* Headers that not all devices find their way through. */
static bool is_extended(const struct shape *shape)
{
	return shape->n_tags > 2 || (shape->ipv6 && shape->extension != NO_EXTENSION);
}

static void check_device_checksum(const struct shape *shape)
{
	struct rte_mbuf *packet = make_request(shape, 0);
	struct layout layout = find_layout(shape);

	unsigned length = linearize(packet, before);
	assert_true(offload_prepare(packet, &checksums));
	linearize(packet, after);
	if (is_extended(shape)) {
		/* Drivers do not find the end of the chain, nor the final destination. */
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
		check_frame(after, length, shape);
	} else {
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK,
			(shape->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM) |
				(shape->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4));
		assert_int_equal(packet->l2_len, layout.l3);
		assert_int_equal(packet->l3_len, layout.l4 - layout.l3);
		assert_int_equal(packet->l4_len, layout.payload - layout.l4);
		assert_memory_equal(before, after, length);
	}
	assert_false(offload_needed(packet));
	rte_pktmbuf_free(packet);
}

static void checksum_by_device(void **state)
{
	for_all_shapes(check_device_checksum);
}

static void sum_of_zero_is_sent_as_ffff(void **state)
{
	struct shape shape = {.udp = true, .payload_bytes = 2};
	struct layout layout = find_layout(&shape);

	/* A payload that makes the sum ffff and hence its complement 0, which would mean "none". */
	struct rte_mbuf *packet = make_request(&shape, 0);
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	memset(frame + layout.payload, 0, 2);
	uint16_t missing = ~fold_sum(0, frame + layout.l4, 8 + 2);
	frame[layout.payload] = missing >> 8;
	frame[layout.payload + 1] = missing;

	assert_true(offload_prepare(packet, &nothing));
	assert_int_equal(frame[layout.checksum], 0xff);
	assert_int_equal(frame[layout.checksum + 1], 0xff);
	rte_pktmbuf_free(packet);
}

static void what_asks_for_nothing_is_left(void **state)
{
	static const uint64_t flags[] = {
		RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD, 0};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		struct rte_mbuf *packet = make_packet(pool, &(struct shape){.payload_bytes = 100});
		packet->ol_flags |= flags[i];
		unsigned length = linearize(packet, before);
		assert_true(offload_prepare(packet, &everything));
		assert_int_equal(linearize(packet, after), length);
		assert_memory_equal(before, after, length);
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
		rte_pktmbuf_free(packet);
	}
}

static void check_segmentation(const struct shape *shape)
{
	const bool needed = shape->payload_bytes > 1000;
	const bool sensible = !(needed && shape->ipv6 && shape->extension == LONG_CHAIN);
	struct layout layout = find_layout(shape);

	if (shape->udp)
		return;

	for (unsigned device = 0; device < 2; device++) {
		struct rte_mbuf *packet = make_request(shape, 1000);
		bool by_device = device && needed && !is_extended(shape);
		assert_int_equal(
			offload_prepare(packet, device ? &everything : &nothing), sensible);
		if (sensible) {
			assert_int_equal(
				packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 1 : 0, by_device);
			assert_int_equal(
				packet->ol_flags & RTE_MBUF_F_RX_LRO ? 1 : 0, needed && !by_device);
			assert_int_equal(offload_frame_bytes(packet),
				layout.payload + MIN(1000, shape->payload_bytes));
		}
		if (sensible && needed) {
			assert_int_equal(
				packet->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6),
				shape->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
			assert_int_equal(
				packet->l2_len + packet->l3_len + packet->l4_len, layout.payload);
		}
		rte_pktmbuf_free(packet);
	}
}

static void segmentation(void **state)
{
	for_all_shapes(check_segmentation);
}

/* It has its checksum before it is cut. */
static void check_fragmentation(const struct shape *shape)
{
	const bool needed = shape->payload_bytes > 1000;
	const bool sensible = !(needed && shape->ipv6 && shape->extension != NO_EXTENSION);
	struct layout layout = find_layout(shape);

	for (unsigned device = 0; shape->udp && device < 2; device++) {
		struct rte_mbuf *packet = make_request(shape, 1001);
		assert_int_equal(
			offload_prepare(packet, device ? &everything : &nothing), sensible);
		if (!sensible || !needed) {
			if (sensible)
				assert_int_equal(offload_frame_bytes(packet), packet->pkt_len);
			rte_pktmbuf_free(packet);
			continue;
		}
		assert_int_equal(packet->ol_flags & (REQUESTS | RTE_MBUF_F_TX_OFFLOAD_MASK),
			RTE_MBUF_F_RX_LRO |
				(shape->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4));
		assert_true(offload_is_datagram(packet));
		assert_int_equal(packet->l2_len + packet->l3_len, layout.l4);
		assert_int_equal(packet->tso_segsz, 1000);
		assert_int_equal(
			offload_frame_bytes(packet), layout.l4 + (shape->ipv6 ? 8 : 0) + 1000);
		check_frame(after, linearize(packet, after), shape);
		rte_pktmbuf_free(packet);
	}
}

static void fragmentation(void **state)
{
	for_all_shapes(check_fragmentation);
}

/* A datagram that is to be cut and no more, with or without a checksum. */
static void checksum_of_fragments_is_left(void **state)
{
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		struct shape shape = {.ipv6 = ipv6, .udp = true, .payload_bytes = 3000};
		struct rte_mbuf *packet = make_request(&shape, 1000);
		packet->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
		unsigned length = linearize(packet, before);
		assert_true(offload_prepare(packet, &everything));
		assert_int_equal(linearize(packet, after), length);
		assert_memory_equal(after, before, length);
		rte_pktmbuf_free(packet);
	}
}

/* CWR belongs to the first segment; nobody knows whether a device keeps to that. */
static void congestion_is_told_once(void **state)
{
	struct shape shape = {.payload_bytes = 4000};

	for (unsigned told = 0; told < 2; told++) {
		shape.tcp_flags =
			RTE_TCP_ACK_FLAG | RTE_TCP_ECE_FLAG | (told ? RTE_TCP_CWR_FLAG : 0);
		struct rte_mbuf *packet = make_request(&shape, 1000);
		assert_true(offload_prepare(packet, &everything));
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_RX_LRO ? 1 : 0, told);
		rte_pktmbuf_free(packet);
	}
}

/*
 * A packet that makes one segment only asks for its checksum, like any other packet: drivers refuse
 * segment sizes that are longer than their frames.
 */
static void check_one_segment(const struct shape *shape)
{
	const uint16_t sizes[] = {shape->udp ? 8009 : 8001, 9669, UINT16_MAX};
	const struct offload_caps *caps[] = {&nothing, &checksums, &everything};

	for (unsigned i = 0; i < 3 * ARRAY_SIZE(sizes); i++) {
		struct rte_mbuf *packet = make_request(shape, sizes[i / 3]);
		struct rte_mbuf *plain = make_request(shape, 0);
		assert_true(offload_prepare(packet, caps[i % 3]));
		assert_true(offload_prepare(plain, caps[i % 3]));
		assert_int_equal(packet->ol_flags, plain->ol_flags);
		assert_int_equal(packet->tx_offload, plain->tx_offload);
		unsigned length = linearize(plain, before);
		assert_int_equal(linearize(packet, after), length);
		assert_memory_equal(after, before, length);
		rte_pktmbuf_free(packet);
		rte_pktmbuf_free(plain);
	}
}

static void one_segment_is_no_segmentation(void **state)
{
	for_all_shapes(check_one_segment);
}

/* Segments that a driver may refuse are made in software. */
static void short_segments(void **state)
{
	const struct shape shape = {.payload_bytes = 4000};

	for (uint16_t bytes = 255; bytes <= 256; bytes++) {
		struct rte_mbuf *packet = make_request(&shape, bytes);
		assert_true(offload_prepare(packet, &everything));
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 1 : 0, bytes == 256);
		assert_int_equal(packet->ol_flags & RTE_MBUF_F_RX_LRO ? 1 : 0, bytes == 255);
		rte_pktmbuf_free(packet);
	}
}

static void refuses_senseless_requests(void **state)
{
	static const struct {
		struct shape shape;
		uint16_t segment_bytes;
	} cases[] = {
		{{.fragment = 0x2000}, 0},
		{{.fragment = 100, .udp = true}, 0},
		{{.ipv6 = true, .extension = FRAGMENTING}, 0},
		{{.fragment = 0x2000, .payload_bytes = 4000}, 1000},
		{{.fragment = 0x2000, .udp = true, .payload_bytes = 4000}, 1000},
		{{.udp = true, .payload_bytes = 4000}, 7},
		{{.udp = true, .payload_bytes = 65508}, 1000},
		{{.udp = true, .ip_option_bytes = 4, .payload_bytes = 65504}, 1000},
		{{.udp = true, .payload_bytes = 65528}, 1000},
		{{.ipv6 = true, .udp = true, .payload_bytes = 65528}, 1000},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rte_mbuf *packet = make_request(&cases[i].shape, cases[i].segment_bytes);
		assert_false(offload_prepare(packet, &nothing));
		assert_false(offload_prepare(packet, &everything));
		rte_pktmbuf_free(packet);
	}

	struct rte_mbuf *packet = make_request(&(struct shape){.payload_bytes = 4000}, 1000);
	packet->tso_segsz = 0;
	assert_false(offload_prepare(packet, &nothing));
	rte_pktmbuf_free(packet);
}

/* Changes a byte of a good packet, at `offset` to `value`; the request must be refused. */
static void refuses_changed(const struct shape *shape, unsigned offset, uint8_t value)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *packet = make_request(shape, 1000);
		rte_pktmbuf_mtod(packet, uint8_t *)[offset] = value;
		assert_false(offload_prepare(packet, i == 0 ? &nothing : &everything));
		rte_pktmbuf_free(packet);
	}
}

static void refuses_lying_headers(void **state)
{
	struct shape ipv4 = {.payload_bytes = 1500}, ipv6 = {.ipv6 = true, .payload_bytes = 1500};
	struct layout at4 = find_layout(&ipv4), at6 = find_layout(&ipv6);

	refuses_changed(&ipv4, at4.l3, 0x44); /* IPv4 header length below the minimum */
	refuses_changed(&ipv4, at4.l3, 0x40);
	refuses_changed(&ipv4, at4.l3, 0x65);      /* version 6 with IPv4's EtherType */
	refuses_changed(&ipv4, at4.l4 + 12, 0x40); /* TCP header length below the minimum */
	refuses_changed(&ipv4, at4.l3 + 9, 132);   /* SCTP */
	refuses_changed(&ipv4, at4.l3 + 9, 50);    /* ESP */
	refuses_changed(&ipv6, at6.l4 + 12, 0x00);
	refuses_changed(&ipv6, at6.l3 + 6, 43);   /* the TCP header taken for a routing header */
	refuses_changed(&ipv6, at6.l3 - 1, 0xde); /* another EtherType */

	ipv4.udp = ipv6.udp = true;
	refuses_changed(&ipv4, at4.l4 + 5, (8 + 1500 - 1) & 0xff); /* a shorter datagram */
	refuses_changed(&ipv4, at4.l4 + 5, (8 + 1500 + 1) & 0xff); /* a longer one */
	refuses_changed(&ipv6, at6.l4 + 4, 0);
	refuses_changed(&ipv4, at4.l3, 0x44);
	refuses_changed(&ipv4, at4.l3, 0x4f); /* the datagram begins in its payload */
}

/* Requests whose headers end beyond the first buffer, or beyond the packet. */
static void refuses_short_packets(void **state)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		struct shape shape = {.ipv6 = kind % 2, .udp = kind / 2, .payload_bytes = 64};
		struct layout layout = find_layout(&shape);
		for (unsigned length = 14; length < layout.payload; length++) {
			struct rte_mbuf *packet = make_request(&shape, 0);
			rte_pktmbuf_trim(packet, packet->pkt_len - length);
			assert_false(offload_prepare(packet, &nothing));
			rte_pktmbuf_free(packet);

			shape.piece_bytes = length;
			packet = make_request(&shape, 0);
			assert_false(offload_prepare(packet, &nothing));
			rte_pktmbuf_free(packet);
			shape.piece_bytes = 0;
		}
	}
}

/*
 * Headers of random bytes. What is found in them lies inside the packet, and in software at most a
 * checksum is written.
 */
static void survives_random_headers(void **state)
{
	unsigned accepted = 0;

	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		struct shape shape = {.n_tags = i % 3,
			.ipv6 = i / 3 % 2,
			.udp = i / 6 % 2,
			.extension = i / 12 % 5,
			.payload_bytes = rand() % 600,
			.piece_bytes = i % 4 == 0 ? 64 + rand() % 64 : 0};
		struct rte_mbuf *packet = make_request(&shape, i % 2 ? rand() % 3000 : 0);
		for (unsigned n = 1 + rand() % 3; n > 0; n--)
			rte_pktmbuf_mtod(packet, uint8_t *)[12 + rand() % 50] = rand();

		unsigned length = linearize(packet, before), changed = 0;
		if (offload_prepare(packet, i / 2 % 2 ? &everything : &nothing)) {
			accepted++;
			assert_int_equal(linearize(packet, after), length);
			for (unsigned byte = 0; byte < length; byte++)
				changed += before[byte] != after[byte];
			assert_true(changed <= 2);
			assert_true(packet->l2_len + packet->l3_len + packet->l4_len <=
				    packet->data_len);
		}
		rte_pktmbuf_free(packet);
	}
	assert_true(accepted > 20000);
}

/* Whatever lies behind a packet, its padding is zero, and its checksums stay right. */
static void padding(void **state)
{
	const struct shape shape = {.udp = true, .payload_bytes = 58};

	for (unsigned length = 35; length <= 62; length++) {
		struct rte_mbuf *packet = make_packet(pool, &shape);
		const uint32_t padded = MAX(length, 60u);

		rte_pktmbuf_mtod(packet, uint8_t *)[length - 1] |= 1;
		rte_pktmbuf_trim(packet, packet->pkt_len - length);
		linearize(packet, before);
		memset(before + length, 0, 60);
		const uint16_t sum = offload_l4_checksum(packet, 34);

		assert_int_equal(offload_pad(packet), padded - length);
		assert_int_equal(linearize(packet, after), padded);
		assert_memory_equal(after, before, padded);
		assert_int_equal(offload_l4_checksum(packet, 34), sum);
		rte_pktmbuf_free(packet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_in_software),
		cmocka_unit_test(no_checksum_is_left),
		cmocka_unit_test(checksum_by_device),
		cmocka_unit_test(sum_of_zero_is_sent_as_ffff),
		cmocka_unit_test(what_asks_for_nothing_is_left),
		cmocka_unit_test(segmentation),
		cmocka_unit_test(fragmentation),
		cmocka_unit_test(checksum_of_fragments_is_left),
		cmocka_unit_test(congestion_is_told_once),
		cmocka_unit_test(one_segment_is_no_segmentation),
		cmocka_unit_test(short_segments),
		cmocka_unit_test(refuses_senseless_requests),
		cmocka_unit_test(refuses_lying_headers),
		cmocka_unit_test(refuses_short_packets),
		cmocka_unit_test(survives_random_headers),
		cmocka_unit_test(padding),
	};

	if (start_dpdk(NULL) != 0)
		return 1;
	return cmocka_run_group_tests_name("offload", tests, make_the_pool, free_the_pool);
}
