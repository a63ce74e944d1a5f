/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/packet/gso.h"
#include "core/packet/offload.h"
#include "core/packet/packet_fixture.h"

#define BURST 32
#define IP_ID 0xfffd         /* wraps */
#define SEQUENCE 0xfffffc00u /* wraps */
#define ALL_FLAGS                                                                    \
	(RTE_TCP_CWR_FLAG | RTE_TCP_ECE_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | \
		RTE_TCP_FIN_FLAG)

static struct rte_mempool *pool;
static uint8_t whole[FRAME_MAX], frame[FRAME_MAX];

static int make_the_pool(void **state)
{
	pool = make_pool(512);
	return 0;
}

static int free_the_pool(void **state)
{
	free_pool(pool);
	return 0;
}

/* A packet that is ready to be cut. */
static struct rte_mbuf *make_long_packet(const struct shape *shape, uint16_t segment_bytes)
{
	static const struct offload_caps nothing;
	struct rte_mbuf *packet = make_packet(pool, shape);

	packet->ol_flags |= RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	packet->tso_segsz = segment_bytes;
	assert_true(offload_prepare(packet, &nothing));
	assert_true(packet->ol_flags & RTE_MBUF_F_RX_LRO);
	return packet;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* Checks segment number `i`, whose payload begins at `position` of the whole. */
static unsigned check_segment(const struct rte_mbuf *segment, const struct shape *shape, unsigned i,
	unsigned position, uint16_t segment_bytes)
{
	unsigned length = linearize(segment, frame);
	struct layout layout = check_frame(frame, length, shape);
	unsigned payload = length - layout.payload;
	bool last = position + payload == shape->payload_bytes;

	assert_int_equal(payload, MIN(segment_bytes, shape->payload_bytes - position));
	assert_memory_equal(frame + layout.payload, whole + layout.payload + position, payload);

	uint8_t flags = RTE_TCP_ECE_FLAG | RTE_TCP_ACK_FLAG | (i == 0 ? RTE_TCP_CWR_FLAG : 0) |
	                (last ? RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG : 0);
	assert_int_equal(frame[layout.l4 + 13], flags);
	assert_int_equal(get32(frame + layout.l4 + 4), SEQUENCE + position);
	if (!shape->ipv6)
		assert_int_equal(
			frame[layout.l3 + 4] << 8 | frame[layout.l3 + 5], (uint16_t)(IP_ID + i));

	/* Otherwise the headers are unchanged. */
	memcpy(frame + layout.l4 + 4, whole + layout.l4 + 4, 4);
	frame[layout.l4 + 13] = whole[layout.l4 + 13];
	memcpy(frame + layout.checksum, whole + layout.checksum, 2);
	if (shape->ipv6) {
		memcpy(frame + layout.l3 + 4, whole + layout.l3 + 4, 2);
	} else {
		memcpy(frame + layout.l3 + 2, whole + layout.l3 + 2, 4);
		memcpy(frame + layout.l3 + 10, whole + layout.l3 + 10, 2);
	}
	assert_memory_equal(frame, whole, layout.payload);
	return payload;
}

/* Cuts a packet, up to `burst` at a time, and checks all segments. */
static void cut_and_check(const struct shape *shape, uint16_t segment_bytes, uint16_t burst)
{
	struct rte_mbuf *packet = make_long_packet(shape, segment_bytes), *segments[BURST];
	struct gso gso = {0};
	unsigned position = 0, n_segments = 0;

	linearize(packet, whole);
	while (!gso_done(&gso, packet)) {
		uint16_t n = gso_cut(&gso, packet, pool, false, segments, burst);
		assert_true(n == burst || gso_done(&gso, packet));
		for (uint16_t i = 0; i < n; i++)
			position += check_segment(
				segments[i], shape, n_segments++, position, segment_bytes);
		rte_pktmbuf_free_bulk(segments, n);
	}
	assert_int_equal(position, shape->payload_bytes);
	assert_int_equal(gso_cut(&gso, packet, pool, false, segments, burst), 0);
	rte_pktmbuf_free(packet);
}

static unsigned get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* Checks the fragment whose part of the datagram begins at `position`. */
static unsigned check_fragment(const struct rte_mbuf *fragment, const struct shape *shape,
	unsigned position, uint16_t fragment_bytes)
{
	static uint8_t id[4];
	unsigned length = linearize(fragment, frame);
	struct layout layout = find_layout(shape);
	uint8_t *ip = frame + layout.l3, *header = frame + layout.l4;
	unsigned part = length - layout.l4 - (shape->ipv6 ? 8 : 0);
	unsigned left = 8 + shape->payload_bytes - position;

	assert_int_equal(part, MIN(fragment_bytes / 8 * 8u, left));
	assert_memory_equal(frame + length - part, whole + layout.l4 + position, part);
	assert_int_equal(fragment->ol_flags, 0);
	if (shape->ipv6) {
		assert_int_equal(get16(ip + 4), length - layout.l4);
		assert_int_equal(ip[6], 44);
		assert_int_equal(header[0], 17);
		assert_int_equal(header[1], 0);
		assert_int_equal(get16(header + 2), position | (part < left));
		if (position == 0)
			memcpy(id, header + 4, sizeof(id));
		assert_memory_equal(header + 4, id, sizeof(id));
		memcpy(ip + 4, whole + layout.l3 + 4, 3);
	} else {
		assert_int_equal(get16(ip + 2), length - layout.l3);
		assert_int_equal(get16(ip + 6), position / 8 | (part < left ? 0x2000 : 0));
		assert_int_equal(fold_sum(0, ip, layout.l4 - layout.l3), 0xffff);
		memcpy(ip + 2, whole + layout.l3 + 2, 2);
		memcpy(ip + 6, whole + layout.l3 + 6, 2);
		memcpy(ip + 10, whole + layout.l3 + 10, 2);
	}
	/* Otherwise the headers are unchanged. */
	assert_memory_equal(frame, whole, layout.l4);
	return part;
}

/* The same for a datagram, whose checksum must be right as a whole. */
static void fragment_and_check(const struct shape *shape, uint16_t fragment_bytes, uint16_t burst)
{
	struct rte_mbuf *packet = make_long_packet(shape, fragment_bytes), *fragments[BURST];
	struct gso gso = {0};
	unsigned position = 0;

	check_frame(whole, linearize(packet, whole), shape);
	while (!gso_done(&gso, packet)) {
		uint16_t n = gso_cut(&gso, packet, pool, true, fragments, burst);
		assert_true(n == burst || gso_done(&gso, packet));
		for (uint16_t i = 0; i < n; i++)
			position += check_fragment(fragments[i], shape, position, fragment_bytes);
		rte_pktmbuf_free_bulk(fragments, n);
	}
	assert_int_equal(position, 8 + shape->payload_bytes);
	rte_pktmbuf_free(packet);
}

static void datagrams(void **state)
{
	static const struct {
		unsigned payload_bytes;
		uint16_t fragment_bytes;
	} sizes[] = {{1, 8}, {60, 8}, {1473, 1480}, {2952, 1480}, {5000, 537}, {30001, 8952},
		{65495, 1480}, {65507, 1480}, {65507, 65507}, {65527, 1448}};
	static const unsigned pieces[] = {0, 256, 1001};
	static const uint16_t bursts[] = {1, 3, BURST};

	for (unsigned kind = 0; kind < 5 * 3; kind++) {
		struct shape shape = {
			.udp = true,
			.n_tags = kind % 5,
			.q_only = kind % 2,
			.ipv6 = kind / 5 % 3 == 2,
			.ip_option_bytes = kind / 5 % 3 * 12,
			.fragment = kind % 2 * 0x4000, /* DF */
			.source = 1,
			.destination = 2,
			.source_port = 40000,
			.destination_port = 5001,
			.ip_id = IP_ID,
		};
		unsigned most = UINT16_MAX - 8 - (shape.ipv6 ? 0 : 20 + shape.ip_option_bytes);
		for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(pieces); i++) {
			shape.payload_bytes = sizes[i % ARRAY_SIZE(sizes)].payload_bytes;
			shape.piece_bytes = pieces[i / ARRAY_SIZE(sizes)];
			if (shape.payload_bytes <= most)
				fragment_and_check(&shape,
					sizes[i % ARRAY_SIZE(sizes)].fragment_bytes,
					bursts[(i + kind) % ARRAY_SIZE(bursts)]);
		}
	}
}

/* Two datagrams of IPv6 do not mix. */
static void identifications(void **state)
{
	const struct shape shape = {.udp = true, .ipv6 = true, .payload_bytes = 2000};
	struct rte_mbuf *packet = make_long_packet(&shape, 1000), *fragments[2][BURST];
	const unsigned at = find_layout(&shape).l4 + 4;

	for (unsigned i = 0; i < 2; i++) {
		struct gso gso = {0};
		assert_int_equal(gso_cut(&gso, packet, pool, false, fragments[i], BURST), 3);
	}
	assert_memory_not_equal(rte_pktmbuf_mtod_offset(fragments[0][0], void *, at),
		rte_pktmbuf_mtod_offset(fragments[1][0], void *, at), 4);
	for (unsigned i = 0; i < 2; i++)
		rte_pktmbuf_free_bulk(fragments[i], 3);
	rte_pktmbuf_free(packet);
}

static void all_headers(void **state)
{
	static const struct {
		unsigned payload_bytes;
		uint16_t segment_bytes;
	} sizes[] = {{2, 1}, {60, 1}, {1449, 1448}, {2896, 1448}, {5000, 537}, {64000, 1448},
		{30001, 8948}, {100, 99}};
	static const unsigned pieces[] = {0, 256, 1001};
	static const uint16_t bursts[] = {1, 3, BURST};

	for (unsigned kind = 0; kind < 5 * 2 * 3 * 2; kind++) {
		struct shape shape = {
			.n_tags = kind % 5,
			.q_only = kind % 2,
			.ipv6 = kind / 5 % 2,
			.extension = kind / 10 % 3,
			.ip_option_bytes = kind / 10 % 3 * 20,
			.tcp_option_bytes = kind / 30 * 12,
			.source = 1,
			.destination = 2,
			.source_port = 40000,
			.destination_port = 5001,
			.ip_id = IP_ID,
			.sequence = SEQUENCE,
			.tcp_flags = ALL_FLAGS,
		};
		for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(pieces); i++) {
			shape.payload_bytes = sizes[i % ARRAY_SIZE(sizes)].payload_bytes;
			shape.piece_bytes = pieces[i / ARRAY_SIZE(sizes)];
			cut_and_check(&shape, sizes[i % ARRAY_SIZE(sizes)].segment_bytes,
				bursts[(i + kind) % ARRAY_SIZE(bursts)]);
		}
	}
}

/* The device is given the sum of the pseudo-header and the place of the checksum. */
static void checksum_left_to_the_device(void **state)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		struct shape shape = {.ipv6 = kind % 2,
			.extension = kind / 2 ? HOP_BY_HOP : NO_EXTENSION,
			.ip_option_bytes = kind / 2 * 8,
			.payload_bytes = 2000};
		struct layout layout = find_layout(&shape);
		bool extended = shape.ipv6 && shape.extension != NO_EXTENSION;
		struct rte_mbuf *packet = make_long_packet(&shape, 1448), *segments[BURST];
		struct gso gso = {0};

		assert_int_equal(gso_cut(&gso, packet, pool, true, segments, BURST), 2);
		for (unsigned i = 0; i < 2; i++) {
			unsigned length = linearize(segments[i], frame);
			if (extended) { /* no driver can parse these */
				assert_int_equal(segments[i]->ol_flags, 0);
				check_frame(frame, length, &shape);
				continue;
			}
			assert_int_equal(segments[i]->ol_flags,
				RTE_MBUF_F_TX_TCP_CKSUM |
					(shape.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4));
			assert_int_equal(segments[i]->l2_len, layout.l3);
			assert_int_equal(segments[i]->l3_len, layout.l4 - layout.l3);
			assert_int_equal(segments[i]->l4_len, layout.payload - layout.l4);
			uint32_t sum =
				pseudo_header_sum(frame, &layout, &shape, length - layout.l4);
			assert_int_equal(
				fold_sum(0, frame + layout.checksum, 2), fold_sum(sum, NULL, 0));
		}
		rte_pktmbuf_free_bulk(segments, 2);
		rte_pktmbuf_free(packet);
	}
}

/* Once there are buffers again, cutting goes on where it stopped, and nothing is lost. */
static void few_buffers(void **state)
{
	struct shape shape = {.payload_bytes = 20000,
		.ip_id = IP_ID,
		.sequence = SEQUENCE,
		.tcp_flags = ALL_FLAGS};
	struct rte_mbuf *packet = make_long_packet(&shape, 4000), *segments[BURST];
	struct rte_mempool *small = make_pool(5); /* a segment needs two or three */
	struct gso gso = {0};
	unsigned position = 0, n_segments = 0;

	linearize(packet, whole);
	while (!gso_done(&gso, packet)) {
		uint16_t n = gso_cut(&gso, packet, small, false, segments, BURST);
		assert_true(n >= 1 && n <= 2);
		for (uint16_t i = 0; i < n; i++)
			position +=
				check_segment(segments[i], &shape, n_segments++, position, 4000);
		rte_pktmbuf_free_bulk(segments, n);
	}
	assert_int_equal(n_segments, 5);
	free_pool(small);
	rte_pktmbuf_free(packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_headers),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(identifications),
		cmocka_unit_test(checksum_left_to_the_device),
		cmocka_unit_test(few_buffers),
	};

	if (start_dpdk(NULL) != 0)
		return 1;
	return cmocka_run_group_tests_name("gso", tests, make_the_pool, free_the_pool);
}
