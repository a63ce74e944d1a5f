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

/*
 * Creates a pool of `n` packets of `room_bytes` each (without the headroom), called `name`, on NUMA
 * node `socket` (-1: any) or the one that hugepages_node() gives for it. On failure the error says
 * which huge pages are missing and how to add them.
 */
int pool_create(struct rte_mempool **ret_pool, const char *name, unsigned n, unsigned room_bytes,
	int socket, struct err *err);

/*
 * Frees the pool. All packets must be back: a pool with packets out is a bug; it is logged, and the
 * memory is kept. NULL is fine.
 */
void pool_destroy(struct rte_mempool *pool);

/* The bytes that pool_create() will need. */
uint64_t pool_bytes(unsigned n, unsigned room_bytes);
