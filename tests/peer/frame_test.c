/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "frame.h"

/* A packet without a pool: frame_check() only reads. */
static struct rte_mbuf packet_of(void *data, uint16_t len)
{
	return (struct rte_mbuf){.buf_addr = data, .data_len = len, .pkt_len = len, .nb_segs = 1};
}

static const uint16_t lengths[] = {FRAME_MIN_LEN, 61, 64, 570, 1513, 1514, FRAME_MAX_LEN};
static const struct frame_id id = {FRAME_FROM_NET, 0xfedcba98, 7, 0x123456789abcdef0};

static void intact_frames_pass(void **state)
{
	uint8_t data[FRAME_MAX_LEN];

	for (size_t i = 0; i < RTE_DIM(lengths); i++) {
		struct rte_mbuf packet = packet_of(data, lengths[i]);
		struct frame_id seen;

		frame_write(data, &id, lengths[i]);
		assert_int_equal(frame_check(&packet, &seen), 0);
		assert_int_equal(seen.origin, id.origin);
		assert_int_equal(seen.epoch, id.epoch);
		assert_int_equal(seen.flow, id.flow);
		assert_int_equal(seen.seq, id.seq);
	}
}

/* The one's complement sum of a datagram with pseudo header and checksum must be all ones. */
static uint16_t udp_sum(const struct rte_ipv4_hdr *ip)
{
	uint32_t sum = rte_ipv4_phdr_cksum(ip, 0);

	sum += rte_raw_cksum(ip + 1, rte_be_to_cpu_16(ip->total_length) - sizeof(*ip));
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void checksums_are_right(void **state)
{
	uint8_t data[FRAME_MAX_LEN];

	for (size_t i = 0; i < RTE_DIM(lengths); i++) {
		const struct rte_ipv4_hdr *ip = (const void *)(data + RTE_ETHER_HDR_LEN);

		frame_write(data, &id, lengths[i]);
		assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
		assert_int_equal(udp_sum(ip), 0xffff);
	}
}

static void each_flipped_bit_is_found(void **state)
{
	uint8_t data[FRAME_MAX_LEN];
	struct frame_id seen;

	for (size_t i = 0; i < RTE_DIM(lengths); i++) {
		struct rte_mbuf packet = packet_of(data, lengths[i]);

		frame_write(data, &id, lengths[i]);
		for (unsigned bit = 0; bit < lengths[i] * 8U; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(frame_check(&packet, &seen), -EBADMSG);
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void another_length_is_found(void **state)
{
	uint8_t data[FRAME_MAX_LEN + 1] = {0};
	struct rte_mbuf packet = packet_of(data, 570);
	struct frame_id seen;

	frame_write(data, &id, 570);
	packet.data_len = 569;
	packet.pkt_len = 569;
	assert_int_equal(frame_check(&packet, &seen), -EBADMSG);
	packet.data_len = 571;
	packet.pkt_len = 571;
	assert_int_equal(frame_check(&packet, &seen), -EBADMSG);
	packet.data_len = 20;
	packet.pkt_len = 20;
	assert_int_equal(frame_check(&packet, &seen), -EBADMSG);
}

static void chained_packets_are_read(void **state)
{
	uint8_t data[1514];
	struct rte_mbuf second = packet_of(data + 100, 1414);
	struct rte_mbuf first = packet_of(data, 100);
	struct frame_id seen;

	first.next = &second;
	first.nb_segs = 2;
	first.pkt_len = 1514;
	frame_write(data, &id, 1514);
	assert_int_equal(frame_check(&first, &seen), 0);
	data[1500] ^= 1;
	assert_int_equal(frame_check(&first, &seen), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intact_frames_pass),
		cmocka_unit_test(checksums_are_right),
		cmocka_unit_test(each_flipped_bit_is_found),
		cmocka_unit_test(another_length_is_found),
		cmocka_unit_test(chained_packets_are_read),
	};

	frame_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
