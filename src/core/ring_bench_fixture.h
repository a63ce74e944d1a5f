/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A driver and the device's ring for it, for tests of a ring by itself. */

#include "core/packet_fixture.h"
#include "core/ring_fixture.h"
#include "core/ring_loans.h"

#define SIZE 64
#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)

/* A driver, its memory, and the device's ring for it. */
struct bench {
	struct driver driver;
	struct guest_memory memory;
	struct ring ring;
	struct rte_mempool *pool;
	struct lender lender; /* used where the ring has loans */
	struct burst_account account;
	struct rte_mbuf *packets[RING_BURST];
	uint8_t log[64];
};

/* From now on long frames are lent. */
void bench_lend(struct bench *bench);

/* Owns memory, pool and loans. */
struct bench *bench_new(bool packed);
void bench_free(struct bench *bench);

/* Bytes that tell their place, and one pattern from another. */
void fill_pattern(uint8_t *at, unsigned bytes, unsigned seed);

/* A frame of the guest, in pieces: 1 in one, 2 with the header alone in front, more at random.
 * False where there are too few descriptors. */
bool bench_send(struct bench *bench, unsigned bytes, unsigned n, unsigned seed);

/* The device takes up to `n` frames into `packets`. */
uint16_t bench_take(struct bench *bench, uint16_t n);

/* A frame for the guest. */
struct rte_mbuf *bench_frame(struct bench *bench, unsigned bytes, unsigned seed);

/* The guest offers all the buffers that there is room for. */
void bench_post(struct bench *bench, unsigned bytes, unsigned pieces);
