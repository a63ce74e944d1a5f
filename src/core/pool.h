/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packet pools. Each attached device has one of its own, on its NUMA node, for what it receives and
 * for what the VM sends to it; so one relay can never take another's buffers. The pool outlives the
 * device's queues, in which packets may still stand.
 *
 * Control thread only, but for the packets themselves.
 */

#include <stdint.h>

#include "base/err.h"

struct rte_mempool;

#define POOL_CACHE 256 /* packets a worker keeps at hand, so that they stay warm in its cache */

/*
 * A pool of `n` packets of `room_bytes` each (headroom not counted), called `name`, on NUMA node
 * `socket` (-1: any), or the one that hugepages_node() has for it. On failure the error tells the
 * huge pages that are missing and how to add them.
 */
int pool_create(struct rte_mempool **ret_pool, const char *name, unsigned n, unsigned room_bytes,
	int socket, struct err *err);

/* Frees it once all packets are back. One that still has packets out is a bug: it is kept and said.
 */
void pool_destroy(struct rte_mempool *pool);

/* Bytes that pool_create() will need. */
uint64_t pool_bytes(unsigned n, unsigned room_bytes);
