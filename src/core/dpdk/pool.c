/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/pool.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "core/dpdk/hugepages.h"

uint64_t pool_bytes(unsigned n, unsigned room_bytes)
{
	uint32_t element = rte_mempool_calc_obj_size(
		sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + room_bytes, 0, NULL);

	/* The pool of free ones, and a cache for each thread that there might be. */
	return (uint64_t)n * (element + sizeof(void *)) +
	       RTE_MAX_LCORE * sizeof(struct rte_mempool_cache);
}

int pool_create(struct rte_mempool **ret_pool, const char *name, unsigned n, unsigned room_bytes,
	unsigned cache, int node, struct err *err)
{
	node = hugepages_node(node);
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, n, cache, 0, RTE_PKTMBUF_HEADROOM + room_bytes, node);

	/* ENOBUFS: what is left is too small a piece for any packet. */
	if (pool == NULL && (rte_errno == ENOMEM || rte_errno == ENOBUFS))
		return hugepages_missing(pool_bytes(n, room_bytes), node, err);
	if (pool == NULL)
		return err_set(err, rte_errno, "packet pool %s of %u packets: %s", name, n,
			rte_strerror(rte_errno));
	*ret_pool = pool;
	return 0;
}

void pool_flush(struct rte_mempool *pool, unsigned lcore)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(pool, lcore);

	if (cache != NULL)
		rte_mempool_cache_flush(cache, pool);
}

void pool_destroy(struct rte_mempool *pool)
{
	if (pool == NULL)
		return;
	if (rte_mempool_in_use_count(pool) != 0) {
		log_error("packet pool %s still has %u packets out; its memory is kept", pool->name,
			rte_mempool_in_use_count(pool));
		return;
	}
	rte_mempool_free(pool);
}
