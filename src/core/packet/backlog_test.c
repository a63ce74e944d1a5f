/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/packet_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/packet/backlog.h"

#define BUDGET 128

static struct backlog backlog;

static struct rte_mbuf *numbered(struct rte_mempool *pool, unsigned number)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(pool);

	assert_non_null(packet);
	rte_pktmbuf_append(packet, 64);
	packet->hash.usr = number;
	return packet;
}

/* Appends packets until the queue has used up its share; returns how many. */
static unsigned fill(struct rte_mempool *pool, unsigned queue)
{
	for (unsigned n = 0;; n++) {
		struct rte_mbuf *packet = numbered(pool, n);
		if (!backlog_append(&backlog, queue, packet, BUDGET)) {
			rte_pktmbuf_free(packet);
			return n;
		}
	}
}

static void drop_all(void)
{
	for (unsigned q = 0; q < QUEUE_PAIRS_MAX; q++)
		backlog_drop(&backlog, q);
	assert_int_equal(backlog.n_buffers, 0);
	assert_int_equal(backlog.total.packets, 0);
	assert_int_equal(backlog.total.bytes, 0);
	assert_int_equal(backlog.waiting, 0);
}

/* Each queue keeps its order, whatever the others do meanwhile. */
static void keeps_order(void **state)
{
	struct rte_mempool *pool = make_pool(1000);
	unsigned in[3] = {0}, out[3] = {0};

	for (unsigned i = 0; i < 5000; i++) {
		unsigned q = i * 7 % 3;
		struct rte_mbuf *packets[8];
		assert_true(backlog_append(&backlog, q, numbered(pool, in[q]++), BACKLOG_BUFFERS));
		if (i % 4 != 3)
			continue;
		q = i / 4 % 3;
		uint16_t n = backlog_peek(&backlog, q, packets, ARRAY_SIZE(packets));
		backlog_take(&backlog, q, n);
		for (uint16_t k = 0; k < n; k++) {
			assert_int_equal(packets[k]->hash.usr, out[q]++);
			rte_pktmbuf_free(packets[k]);
		}
		assert_int_equal((backlog.waiting >> q & 1), in[q] != out[q]);
	}
	drop_all();
	free_pool(pool);
}

static void shares_what_is_free(void **state)
{
	struct rte_mempool *pool = make_pool(1000);

	assert_int_equal(fill(pool, 5), BUDGET / 2);
	assert_int_equal(fill(pool, 31), BUDGET / 4);
	assert_int_equal(fill(pool, 0), BUDGET / 8);
	assert_true(backlog_is_full(&backlog, 5, BUDGET, 1));
	assert_false(backlog_is_full(&backlog, 1, BUDGET, BUDGET / 8));
	assert_int_equal(backlog.waiting, 1u << 5 | 1u << 31 | 1u << 0);
	assert_int_equal(backlog_drop(&backlog, 5).packets, BUDGET / 2);
	assert_false(backlog_is_full(&backlog, 1, BUDGET, BUDGET / 4));
	drop_all();
	free_pool(pool);
}

/* A packet in several buffers takes as many from the pool as several packets. */
static void counts_buffers(void **state)
{
	struct rte_mempool *pool = make_pool(1000);
	const struct shape shape = {.payload_bytes = 500, .piece_bytes = 100};
	struct rte_mbuf *packet = make_packet(pool, &shape);
	unsigned n_buffers = packet->nb_segs, n = 0;

	assert_true(n_buffers > 4);
	while (backlog_append(&backlog, 3, packet, BUDGET)) {
		n++;
		packet = make_packet(pool, &shape);
	}
	rte_pktmbuf_free(packet);
	assert_in_range(n * n_buffers, BUDGET / 2 - n_buffers / 2, BUDGET / 2 + n_buffers / 2);
	assert_int_equal(backlog.n_buffers, n * n_buffers);
	drop_all();
	free_pool(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(shares_what_is_free),
		cmocka_unit_test(counts_buffers),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
