/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packet pools. Each attached device has its own, on its NUMA node, for the packets that it
 * receives and for those that the VM sends to it. So no relay can take another's buffers. The pool
 * outlives the device's queues, which may still hold packets.
 *
 * Control thread only, except for the packets themselves.
 */

#include <stdint.h>

#include "base/err.h"

struct rte_mempool;

#define POOL_CACHE 256 /* packets that a worker keeps at hand, warm in its cache */

/* So many may be in the cache of a worker that takes or frees packets of a pool. */
#define POOL_CACHED_MAX (POOL_CACHE * 3 / 2)

/*
 * Creates a pool of `n` packets of `room_bytes` each (without the headroom), called `name`, on the
 * NUMA node that hugepages_node() gives for `node` (-1: any). Each thread that uses it keeps
 * `cache` of them at hand: POOL_CACHE, or 0. On failure the error says which huge pages are missing
 * and how to add them.
 */
int pool_create(struct rte_mempool **ret_pool, const char *name, unsigned n, unsigned room_bytes,
	unsigned cache, int node, struct err *err);

/*
 * Returns to all threads what one of DPDK's has at hand. That thread does not use the pool now, or
 * is the calling one.
 */
void pool_flush(struct rte_mempool *pool, unsigned lcore);

/*
 * Frees the pool. All packets must be back: a pool with packets out is a bug; it is logged, and the
 * memory is kept. NULL is fine.
 */
void pool_destroy(struct rte_mempool *pool);

/* The bytes that pool_create() will need. May be called before eal_start(). */
uint64_t pool_bytes(unsigned n, unsigned room_bytes);
