/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/ring_bench_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

struct bench *bench_new_of(bool packed, uint16_t size)
{
	struct bench *bench = calloc_aligned(alignof(struct bench), sizeof(*bench));
	uint8_t *memory = malloc(GUEST_BYTES);

	assert_non_null(bench);
	assert_non_null(memory);
	driver_init(&bench->driver, memory, size, packed);
	bench->memory = one_region(memory);
	driver_ring(&bench->driver, &bench->memory, &bench->ring);
	bench->pool = make_pool(600);
	return bench;
}

struct bench *bench_new(bool packed)
{
	return bench_new_of(packed, SIZE);
}

void bench_lend(struct bench *bench)
{
	bench->ring.loans = ring_loans_new();
	assert_non_null(bench->ring.loans);
	bench->lender = (struct lender){.chains = true, .segments = true, .max = UINT16_MAX};
}

void bench_free(struct bench *bench)
{
	assert_int_equal(bench->lender.n_out, 0);
	assert_true(ring_loans_free(bench->ring.loans));
	free_pool(bench->pool);
	free(bench->driver.memory);
	free(bench);
}

void bench_every_size(bool packed, void (*test)(bool packed, uint16_t size))
{
	static const uint16_t sizes[2][5] = {{2, 4, 8, 16, SIZE}, {2, 3, 5, 16, SIZE}};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes[packed]); i++)
		test(packed, sizes[packed][i]);
}

void fill_pattern(uint8_t *at, unsigned bytes, unsigned seed)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = seed + i * 7 + i / 251;
}

bool bench_send(struct bench *bench, unsigned bytes, unsigned n, unsigned seed)
{
	uint8_t *buffer = driver_buffer(&bench->driver);
	uint32_t pieces[3] = {HEADER + bytes};

	if (n > bench->driver.n_free)
		return false;
	if (n > 1) {
		pieces[0] = n == 2 ? HEADER : 5;
		pieces[1] = n == 2 ? bytes : HEADER;
		pieces[2] = bytes - 5;
	}
	memset(buffer, 0, HEADER);
	fill_pattern(buffer + HEADER, bytes, seed);
	return driver_offer(&bench->driver, pieces, n, false);
}

uint16_t bench_take(struct bench *bench, uint16_t n)
{
	struct lender *lender = bench->ring.loans != NULL ? &bench->lender : NULL;

	return ring_take(&bench->ring, bench->pool, lender, bench->packets, n, &bench->account);
}

struct rte_mbuf *bench_frame(struct bench *bench, unsigned bytes, unsigned seed)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(bench->pool), *last = first;

	fill_pattern(
		(uint8_t *)rte_pktmbuf_append(first, MIN(bytes, 2000)), MIN(bytes, 2000), seed);
	if (bytes > 2000) {
		last = rte_pktmbuf_alloc(bench->pool);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(last, bytes - 2000);
		for (unsigned i = 2000; i < bytes; i++)
			at[i - 2000] = seed + i * 7 + i / 251;
		assert_int_equal(rte_pktmbuf_chain(first, last), 0);
	}
	return first;
}

void bench_post(struct bench *bench, unsigned bytes, unsigned pieces)
{
	uint32_t lengths[2] = {pieces == 1 ? bytes : HEADER, bytes - HEADER};

	while (driver_offer(&bench->driver, lengths, pieces, true))
		;
}
