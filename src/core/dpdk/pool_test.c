/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_mempool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dpdk/pool.h"
#include "core/packet/packet_fixture.h"

#define PACKETS 1023
#define LCORE 5 /* of a worker that has run a lane */

/* What a worker has kept at hand is everybody's again. */
static void caches_are_flushed(void **state)
{
	struct rte_mempool *pool;
	void *packet;

	assert_int_equal(pool_create(&pool, "test", PACKETS, 256, POOL_CACHE, -1, NULL), 0);
	struct rte_mempool_cache *cache = rte_mempool_default_cache(pool, LCORE);
	assert_int_equal(rte_mempool_generic_get(pool, &packet, 1, cache), 0);
	assert_in_range(cache->len, POOL_CACHE, POOL_CACHED_MAX);
	pool_flush(pool, LCORE);
	assert_int_equal(cache->len, 0);
	assert_int_equal(rte_mempool_avail_count(pool), PACKETS - 1);
	rte_mempool_generic_put(pool, &packet, 1, NULL);
	pool_destroy(pool);
}

static void pools_may_be_without_caches(void **state)
{
	struct rte_mempool *pool;

	assert_int_equal(pool_create(&pool, "test", PACKETS, 256, 0, -1, NULL), 0);
	assert_null(rte_mempool_default_cache(pool, LCORE));
	pool_flush(pool, LCORE);
	pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caches_are_flushed),
		cmocka_unit_test(pools_may_be_without_caches),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
