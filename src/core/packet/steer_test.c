/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/packet/packet_fixture.h"
#include "core/packet/steer.h"

static struct rte_mempool *pool;

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

static uint32_t hash_of(const struct shape *shape)
{
	struct rte_mbuf *packet = make_packet(pool, shape);
	uint32_t hash = steer_flow_hash(packet);

	rte_pktmbuf_free(packet);
	return hash;
}

static void uses_exactly_the_enabled_queues(void **state)
{
	struct steer steer;

	srand(1);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t enabled = i < 32 ? 1u << i : (uint32_t)rand() << 1 | 1u << rand() % 32;
		unsigned buckets[32] = {0}, n = __builtin_popcount(enabled);
		steer_set(&steer, enabled);
		for (unsigned bucket = 0; bucket < STEER_BUCKETS; bucket++)
			buckets[steer.queue_of_bucket[bucket]]++;
		for (unsigned queue = 0; queue < 32; queue++) {
			unsigned least = enabled & 1u << queue ? STEER_BUCKETS / n : 0;
			assert_in_range(buckets[queue], least, least == 0 ? 0 : least + 1);
		}
	}
}

static void device_hash_goes_first(void **state)
{
	struct rte_mbuf *packet = make_packet(pool, &(struct shape){0});
	struct steer steer;

	steer_set(&steer, 0xa); /* queues 1 and 3 */
	packet->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	for (uint32_t hash = 0; hash < 4 * STEER_BUCKETS; hash++) {
		packet->hash.rss = hash;
		assert_int_equal(steer_queue(&steer, packet), hash % 2 ? 3 : 1);
	}
	rte_pktmbuf_free(packet);
}

/* The kinds of headers that a flow may have. */
static struct shape make_shape(unsigned kind)
{
	return (struct shape){
		.n_tags = kind % 5,
		.q_only = kind % 2,
		.ipv6 = kind / 5 % 2,
		.udp = kind / 10 % 2,
		.extension = kind / 20 ? HOP_BY_HOP : NO_EXTENSION,
		.ip_option_bytes = kind / 20 * 8,
		.source = 1,
		.destination = 2,
		.source_port = 40000,
		.destination_port = 53,
	};
}

#define KINDS 40

static void flow_is_what_the_packets_share(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct shape shape = make_shape(kind);
		uint32_t hash = hash_of(&shape);

		shape.payload_bytes = 1000;
		shape.sequence = 77;
		shape.tcp_flags = 2;
		shape.ip_id = 99;
		assert_int_equal(hash_of(&shape), hash);
		shape.piece_bytes = 15; /* headers scattered over several mbufs */
		assert_int_equal(hash_of(&shape), hash);

		shape.source_port++;
		assert_int_not_equal(hash_of(&shape), hash);
		shape.source_port--;
		shape.destination++;
		assert_int_not_equal(hash_of(&shape), hash);
	}
}

static void both_directions_hash_alike(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct shape shape = make_shape(kind), back = shape;
		back.source = shape.destination;
		back.destination = shape.source;
		back.source_port = shape.destination_port;
		back.destination_port = shape.source_port;
		assert_int_equal(hash_of(&back), hash_of(&shape));
	}
}

/* Only the first fragment has ports; none may be steered by them. */
static void fragments_go_by_addresses(void **state)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		struct shape shape = make_shape(kind ? 15 : 10), first = shape, last = shape;

		first.fragment = 0x2000;
		last.fragment = 0x2000 | 185;
		last.source_port = 12345; /* payload in the ports' place */
		first.extension = last.extension = FRAGMENTING;
		assert_int_equal(hash_of(&first), hash_of(&last));
		assert_int_not_equal(hash_of(&first), hash_of(&shape));
		last.destination++;
		assert_int_not_equal(hash_of(&first), hash_of(&last));
	}
}

/* Ethernet and IP frames that end anywhere, or contain nothing known. */
static void any_packet_has_a_queue(void **state)
{
	struct steer steer;

	srand(1);
	steer_set(&steer, 0x80000001);
	for (unsigned i = 0; i < 20000; i++) {
		struct shape shape = make_shape(i % KINDS);
		struct rte_mbuf *packet = make_packet(pool, &shape);
		if (i % 2)
			rte_pktmbuf_trim(packet, rand() % packet->pkt_len);
		for (unsigned n = rand() % 4; n > 0; n--)
			rte_pktmbuf_mtod(packet, uint8_t *)[rand() % 60] = rand();
		unsigned queue = steer_queue(&steer, packet);
		assert_true(queue == 0 || queue == 31);
		rte_pktmbuf_free(packet);
	}
}

/*
 * Flows that differ in one field only, as the connections between two machines do: of 4096 on n
 * queues, none gets a third more or less than its share.
 */
static void check_spread(struct shape shape, void (*vary)(struct shape *shape, unsigned i))
{
	for (unsigned n = 2; n <= 32; n *= 2) {
		struct steer steer;
		unsigned flows[32] = {0};

		steer_set(&steer, ~0u >> (32 - n));
		for (unsigned i = 0; i < 4096; i++) {
			vary(&shape, i);
			struct rte_mbuf *packet = make_packet(pool, &shape);
			flows[steer_queue(&steer, packet)]++;
			rte_pktmbuf_free(packet);
		}
		for (unsigned queue = 0; queue < n; queue++)
			assert_in_range(flows[queue], 4096 / n * 2 / 3, 4096 / n * 4 / 3);
	}
}

static void vary_source_port(struct shape *shape, unsigned i)
{
	shape->source_port = 32768 + i;
}

static void vary_even_source_port(struct shape *shape, unsigned i)
{
	shape->source_port = 32768 + 2 * i;
}

static void vary_addresses(struct shape *shape, unsigned i)
{
	shape->source = i % 64;
	shape->destination = 128 + i / 64;
}

static void spreads(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		check_spread(make_shape(kind), vary_source_port);
		check_spread(make_shape(kind), vary_even_source_port);
		check_spread(make_shape(kind), vary_addresses);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_exactly_the_enabled_queues),
		cmocka_unit_test(device_hash_goes_first),
		cmocka_unit_test(flow_is_what_the_packets_share),
		cmocka_unit_test(both_directions_hash_alike),
		cmocka_unit_test(fragments_go_by_addresses),
		cmocka_unit_test(any_packet_has_a_queue),
		cmocka_unit_test(spreads),
	};

	if (start_dpdk(NULL) != 0)
		return 1;
	return cmocka_run_group_tests_name("steer", tests, make_the_pool, free_the_pool);
}
