/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A driver and the device's ring for it, for tests of a ring on its own. */

#include "core/packet/packet_fixture.h"
#include "core/ring/ring_fixture.h"
#include "core/ring/ring_loans.h"

#define SIZE 64 /* unless a test asks for another one */
#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)

/* A driver, its memory, and the device's ring for it. */
struct bench {
	struct driver driver;
	struct guest_memory memory;
	struct ring ring;
	struct rte_mempool *pool;
	struct lender lender; /* used if the ring has loans */
	struct burst_account account;
	struct rte_mbuf *packets[RING_BURST];
	uint8_t log[80];
};

/* From now on long frames are lent. */
void bench_lend(struct bench *bench);

/* A bench owns its memory, pool and loans. The ring has SIZE descriptors, or `size`. */
struct bench *bench_new(bool packed);
struct bench *bench_new_of(bool packed, uint16_t size);
void bench_free(struct bench *bench);

/* Runs a test with rings of SIZE and with the smallest ones. */
void bench_every_size(bool packed, void (*test)(bool packed, uint16_t size));

/* Bytes that identify their position, and one pattern from another. */
void fill_pattern(uint8_t *at, unsigned bytes, unsigned seed);

/*
 * The guest sends a frame in `n` pieces: 1 is a single one, 2 has the header alone in front, more
 * are of random size. False if there are too few descriptors.
 */
bool bench_send(struct bench *bench, unsigned bytes, unsigned n, unsigned seed);

/* The device takes up to `n` frames into `packets`. */
uint16_t bench_take(struct bench *bench, uint16_t n);

/* A frame for the guest. */
struct rte_mbuf *bench_frame(struct bench *bench, unsigned bytes, unsigned seed);

/* The guest offers as many buffers as there is room for. */
void bench_post(struct bench *bench, unsigned bytes, unsigned pieces);
