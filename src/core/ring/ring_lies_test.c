/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/ring/ring_bench_fixture.h"

/*
 * What a malicious driver does to the ring's memory, concerning buffer number `at`, before a burst.
 */
typedef void damage_fn(struct bench *bench, unsigned at, uint16_t write);

static struct vring_desc *desc(struct bench *bench, unsigned i)
{
	return (struct vring_desc *)(bench->driver.memory + AT_DESC) + i;
}

static struct vring_packed_desc *packed_at(struct bench *bench, unsigned i)
{
	return (struct vring_packed_desc *)(bench->driver.memory + AT_DESC) + i;
}

static void index_jumps(struct bench *bench, unsigned at, uint16_t write)
{
	bench->ring.avail->idx = bench->ring.next + bench->ring.size + 1;
}

static void head_is_outside(struct bench *bench, unsigned at, uint16_t write)
{
	bench->ring.avail->ring[at] = bench->ring.size;
}

static void next_is_outside(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->flags = write | VRING_DESC_F_NEXT;
	desc(bench, at)->next = UINT16_MAX;
}

static void chain_has_no_end(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->flags = write | VRING_DESC_F_NEXT;
	desc(bench, at)->next = at;
}

static void all_are_chained(struct bench *bench, unsigned at, uint16_t write)
{
	for (unsigned i = 0; i < bench->ring.size; i++)
		packed_at(bench, i)->flags |= VRING_DESC_F_NEXT;
}

static void address_is_outside(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->addr = GUEST_GPA + GUEST_BYTES;
}

static void address_is_below(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->addr = GUEST_GPA - 1;
}

static void buffer_ends_outside(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->addr = GUEST_GPA + GUEST_BYTES - 20;
}

static void buffer_is_huge(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->len = UINT32_MAX;
}

static void address_wraps(struct bench *bench, unsigned at, uint16_t write)
{
	desc(bench, at)->addr = UINT64_MAX - 10;
}

static void direction_is_wrong(struct bench *bench, unsigned at, uint16_t write)
{
	if (bench->driver.packed)
		packed_at(bench, at)->flags ^= VRING_DESC_F_WRITE;
	else
		desc(bench, at)->flags = write ^ VRING_DESC_F_WRITE;
}

static void point_to_table(struct bench *bench, unsigned at, uint32_t bytes, uint16_t entry_flags)
{
	struct vring_desc *entry = (struct vring_desc *)(bench->driver.memory + AT_TABLES);

	*entry = (struct vring_desc){.addr = GUEST_GPA + AT_BUFFERS, .len = 100};
	if (bench->driver.packed)
		((struct vring_packed_desc *)entry)->flags = entry_flags;
	else
		entry->flags = entry_flags;
	desc(bench, at)->addr = GUEST_GPA + AT_TABLES;
	desc(bench, at)->len = bytes;
	if (bench->driver.packed)
		packed_at(bench, at)->flags |= VRING_DESC_F_INDIRECT;
	else
		desc(bench, at)->flags = VRING_DESC_F_INDIRECT;
}

static void table_is_empty(struct bench *bench, unsigned at, uint16_t write)
{
	point_to_table(bench, at, 0, write);
}

static void table_is_odd(struct bench *bench, unsigned at, uint16_t write)
{
	point_to_table(bench, at, 17, write);
}

static void table_in_table(struct bench *bench, unsigned at, uint16_t write)
{
	point_to_table(bench, at, 16, VRING_DESC_F_INDIRECT | write);
}

static void table_links_to_itself(struct bench *bench, unsigned at, uint16_t write)
{
	point_to_table(bench, at, 32, VRING_DESC_F_NEXT | write);
	((struct vring_desc *)(bench->driver.memory + AT_TABLES))->len = 0;
}

static void table_is_outside(struct bench *bench, unsigned at, uint16_t write)
{
	point_to_table(bench, at, 16, write);
	desc(bench, at)->addr = GUEST_GPA + GUEST_BYTES - 8;
}

static const struct {
	damage_fn *damage;
	bool split, packed;
	enum ring_fault fault;
	bool first; /* can only be done to the first buffer */
} damages[] = {
	{index_jumps, true, false, RING_INDEX, .first = true},
	{head_is_outside, true, false, RING_HEAD},
	{next_is_outside, true, false, RING_HEAD},
	{chain_has_no_end, true, false, RING_LOOP},
	{all_are_chained, false, true, RING_LOOP, .first = true},
	{address_is_outside, true, true, RING_ADDRESS},
	{address_is_below, true, true, RING_ADDRESS},
	{buffer_ends_outside, true, true, RING_ADDRESS},
	{buffer_is_huge, true, true, RING_ADDRESS},
	{address_wraps, true, true, RING_ADDRESS},
	{direction_is_wrong, true, true, RING_DIRECTION},
	{table_is_empty, true, true, RING_INDIRECT},
	{table_is_odd, true, true, RING_INDIRECT},
	{table_in_table, true, true, RING_INDIRECT},
	{table_links_to_itself, true, false, RING_LOOP},
	{table_is_outside, true, true, RING_ADDRESS},
};

/*
 * The `sound` buffers in front are used. The ring is retired in the same burst; nothing else is
 * taken, given or leaked, and it stays so.
 */
static void suffers(unsigned i, bool packed, uint16_t size, bool give, bool lends, unsigned sound)
{
	struct bench *bench = bench_new_of(packed, size);
	unsigned n;

	if (lends)
		bench_lend(bench);
	if (give) {
		bench_post(bench, 2048, 1);
	} else {
		for (n = 0; n < size; n++)
			bench_send(bench, 100, 1, n);
	}
	damages[i].damage(bench, sound, give ? VRING_DESC_F_WRITE : 0);
	for (unsigned times = 0; times < 2; times++) {
		if (give) {
			for (n = 0; n <= sound; n++)
				bench->packets[n] = bench_frame(bench, n < sound ? 100 : 3000, 0);
			n = ring_give(
				&bench->ring, false, bench->packets, sound + 1, &bench->account);
			rte_pktmbuf_free_bulk(bench->packets, sound + 1);
		} else {
			n = bench_take(bench, RING_BURST);
			rte_pktmbuf_free_bulk(bench->packets, n);
		}
		assert_int_equal(n, times == 0 ? sound : 0);
		assert_int_equal(ring_fault(&bench->ring), damages[i].fault);
		assert_int_equal(bench->ring.next, sound);
	}
	bench_free(bench);
}

static void retires_ring(bool packed, uint16_t size)
{
	for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
		const unsigned max = damages[i].first || size < 3 ? 0 : 2;
		if (!(packed ? damages[i].packed : damages[i].split))
			continue;
		for (unsigned sound = 0; sound <= max; sound += 2)
			for (unsigned way = 0; way < 3; way++) /* take, give, take and lend */
				suffers(i, packed, size, way == 1, way == 2, sound);
	}
}

static void retires_rings_that_lie(void **state)
{
	bench_every_size(false, retires_ring);
	bench_every_size(true, retires_ring);
}

/*
 * Empty descriptors cost time as well: no more of them are looked at than a packet may have.
 * Looking at what is behind them would retire the ring here.
 */
static void looks_at_few_empty_descriptors(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = bench_new(packed);
		struct vring_desc *table = (struct vring_desc *)(bench->driver.memory + AT_TABLES);
		const unsigned n = 1000;

		bench->ring.mergeable = true;
		bench_post(bench, 2048, 1);
		point_to_table(bench, 0, n * sizeof(*table), 0);
		for (unsigned i = 0; i < n; i++) {
			uint16_t flags = VRING_DESC_F_WRITE | (packed ? 0 : VRING_DESC_F_NEXT);
			flags |= i == n - 1 ? VRING_DESC_F_INDIRECT : 0;
			table[i] = (struct vring_desc){.flags = packed ? 0 : flags, .next = i + 1};
			if (packed)
				((struct vring_packed_desc *)table)[i].flags = flags;
		}
		bench->packets[0] = bench_frame(bench, 100, 0);
		assert_int_equal(
			ring_give(&bench->ring, false, bench->packets, 1, &bench->account), 1);
		assert_int_equal(bench->account.dropped[DROP_OVERSIZE].packets, 1);
		assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
		rte_pktmbuf_free(bench->packets[0]);
		bench_free(bench);
	}
}

#define TABLE_LONG 200

/* Makes all buffers that are out share a table of so many entries of one byte. */
static void share_long_table(struct bench *bench, uint16_t write)
{
	struct vring_desc *table = (struct vring_desc *)(bench->driver.memory + AT_TABLES);

	memset(bench->driver.memory + AT_BUFFERS, 0, BUFFER_BYTES);
	for (unsigned i = 0; i < bench->ring.size; i++)
		point_to_table(bench, i, TABLE_LONG * sizeof(*table), write);
	for (unsigned i = 0; i < TABLE_LONG; i++) {
		uint16_t next = i + 1 < TABLE_LONG && !bench->driver.packed ? VRING_DESC_F_NEXT : 0;
		table[i] = (struct vring_desc){
			.addr = GUEST_GPA + AT_BUFFERS + i, .len = 1, .next = i + 1};
		if (bench->driver.packed)
			((struct vring_packed_desc *)table)[i].flags = write;
		else
			table[i].flags = write | next;
	}
}

/* Packets of few bytes in many pieces do not keep the worker from the others for long, either. */
static void takes_and_gives_few_long_tables(void **state)
{
	const unsigned least = RING_BURST_DESCRIPTORS / TABLE_LONG + 1;

	for (unsigned i = 0; i < 4; i++) {
		struct bench *bench = bench_new(i & 1);
		const bool give = i / 2;
		unsigned done = 0;

		bench_post(bench, 100, 1);
		if (!give)
			for (unsigned at = 0; at < SIZE; at++)
				desc(bench, at)->flags ^= VRING_DESC_F_WRITE;
		share_long_table(bench, give ? VRING_DESC_F_WRITE : 0);
		for (unsigned k = 0; k < RING_BURST; k++)
			bench->packets[k] =
				give ? bench_frame(bench, TABLE_LONG - HEADER, k) : NULL;
		while (done < RING_BURST) {
			struct rte_mbuf **packets = bench->packets + (give ? done : 0);
			uint16_t n = give ? ring_give(&bench->ring, false, packets,
						    RING_BURST - done, &bench->account)
			                  : bench_take(bench, RING_BURST - done);
			assert_int_equal(n, MIN(least, RING_BURST - done));
			rte_pktmbuf_free_bulk(packets, n);
			done += n;
		}
		assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
		bench_free(bench);
	}
}

/* An IP packet to be segmented may be that long, with its Ethernet header and two VLAN tags. */
static void drops_what_is_longer_than_any_packet(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct bench *bench = bench_new(i & 1);
		const unsigned excess = i / 2;
		const uint32_t bytes = HEADER + UINT16_MAX + 14 + 2 * 4 + excess;

		memset(driver_buffer(&bench->driver), 0, bytes);
		assert_true(driver_offer(&bench->driver, &bytes, 1, false));
		uint16_t n = bench_take(bench, 1);
		assert_int_equal(n, 1 - excess);
		assert_int_equal(bench->account.dropped[DROP_MALFORMED].packets, excess);
		assert_int_equal(bench->account.received.bytes, bytes - HEADER - excess);
		assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
		rte_pktmbuf_free_bulk(bench->packets, n);
		bench_free(bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retires_rings_that_lie),
		cmocka_unit_test(looks_at_few_empty_descriptors),
		cmocka_unit_test(takes_and_gives_few_long_tables),
		cmocka_unit_test(drops_what_is_longer_than_any_packet),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
