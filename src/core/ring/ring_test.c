/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/packet_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/ring/ring_bench_fixture.h"

#define FRAME_LONG 4000 /* takes several mbufs, but one buffer of the guest */

static void check_pattern(const uint8_t *at, unsigned bytes, unsigned seed)
{
	for (unsigned i = 0; i < bytes; i++)
		assert_int_equal(at[i], (uint8_t)(seed + i * 7 + i / 251));
}

/* No more than its buffer has room for. */
static void check_segments(const struct rte_mbuf *packet)
{
	for (; packet != NULL; packet = packet->next)
		assert_true(packet->data_off + packet->data_len <= packet->buf_len);
}

static unsigned frame_bytes(unsigned i)
{
	static const unsigned lengths[] = {60, 1514, 61, 64, 128, 65, 127, 2048, 2049, 3000, 14};

	return lengths[i % ARRAY_SIZE(lengths)];
}

static void takes_what_is_sent(
	bool packed, uint16_t size, bool indirect, unsigned pieces, bool lends)
{
	static uint8_t frame[FRAME_MAX];
	struct bench *bench = bench_new_of(packed, size);
	unsigned sent = 0, taken = 0, back = 0;
	uint8_t *buffer;
	uint32_t written;

	bench->driver.indirect = indirect;
	if (lends)
		bench_lend(bench);
	while (taken < 3000) {
		for (unsigned i = 0; i < 1 + sent % 37; i++) {
			unsigned n = pieces != 0 ? pieces : 1 + sent % 3;
			if (bench_send(bench, frame_bytes(sent), MIN(n, size), sent))
				sent++;
		}
		uint16_t n = bench_take(bench, RING_BURST);
		assert_true(n > 0);
		for (uint16_t i = 0; i < n; i++, taken++) {
			assert_int_equal(linearize(bench->packets[i], frame), frame_bytes(taken));
			check_pattern(frame, frame_bytes(taken), taken);
			check_segments(bench->packets[i]);
			rte_pktmbuf_free(bench->packets[i]);
		}
		if (lends)
			bench_take(bench, 0);
		for (; driver_take_used(&bench->driver, &buffer, &written); back++)
			assert_int_equal(written, 0);
		assert_int_equal(back, taken);
	}
	assert_int_equal(bench->account.received.packets, taken);
	assert_int_equal(bench->ring.n_packets, taken);
	assert_int_equal(bench->account.dropped[DROP_MALFORMED].packets, 0);
	assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
	bench_free(bench);
}

static void takes_from_ring(bool packed, uint16_t size)
{
	for (unsigned indirect = 0; indirect < 2; indirect++)
		for (unsigned pieces = 0; pieces <= 3; pieces++)
			for (unsigned lends = 0; lends < 2; lends++)
				takes_what_is_sent(packed, size, indirect, pieces, lends);
}

static void takes_frames(void **state)
{
	bench_every_size(false, takes_from_ring);
	bench_every_size(true, takes_from_ring);
}

/* Long chains of one guest do not keep the worker from the others for long. */
static void takes_few_long_chains(bool packed)
{
	struct bench *bench = bench_new(packed);
	unsigned sent = 0, taken = 0, least = RING_BURST_BYTES / FRAME_LONG + 1;

	while (sent < RING_BURST && bench_send(bench, FRAME_LONG, 1, sent))
		sent++;
	assert_true(sent > least);
	while (taken < sent) {
		uint16_t n = bench_take(bench, RING_BURST);
		assert_int_equal(n, MIN(least, sent - taken));
		rte_pktmbuf_free_bulk(bench->packets, n);
		taken += n;
	}
	bench_free(bench);
}

static void takes_bounded_bursts(void **state)
{
	takes_few_long_chains(false);
	takes_few_long_chains(true);
}

/* Back pressure: while the pool is empty, packets stay in the ring. */
static void waits_for_packets(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = bench_new(packed);
		struct rte_mbuf *all[600];
		uint8_t *buffer;
		uint32_t written;

		bench_send(bench, 3000, 1, 1);
		assert_int_equal(rte_pktmbuf_alloc_bulk(bench->pool, all, 600), 0);
		assert_int_equal(bench_take(bench, RING_BURST), 0);
		rte_pktmbuf_free(all[0]); /* one mbuf is not enough */
		assert_int_equal(bench_take(bench, RING_BURST), 0);
		assert_false(driver_take_used(&bench->driver, &buffer, &written));
		rte_pktmbuf_free_bulk(&all[1], 599);
		assert_int_equal(bench_take(bench, RING_BURST), 1);
		assert_int_equal(bench->account.received.packets, 1);
		rte_pktmbuf_free(bench->packets[0]);
		bench_free(bench);
	}
}

/* Reads a frame back from as many buffers as its header says. False if there is none. */
static bool receive_frame(struct bench *bench, uint8_t *frame, unsigned *ret_bytes)
{
	struct virtio_net_hdr_mrg_rxbuf header;
	uint8_t *buffer;
	uint32_t written;
	unsigned bytes;

	if (!driver_take_used(&bench->driver, &buffer, &written))
		return false;
	memcpy(&header, buffer, HEADER);
	bytes = written - HEADER;
	memcpy(frame, buffer + HEADER, bytes);
	for (unsigned i = 1; i < header.num_buffers; i++) {
		assert_true(driver_take_used(&bench->driver, &buffer, &written));
		memcpy(frame + bytes, buffer, written);
		bytes += written;
	}
	*ret_bytes = bytes;
	return true;
}

static void gives_what_has_come(bool packed, uint16_t size, bool indirect, bool mergeable,
	unsigned buffer_bytes, unsigned pieces)
{
	static uint8_t frame[FRAME_MAX];
	struct bench *bench = bench_new_of(packed, size);
	unsigned given = 0, received = 0, bytes;
	bool past = false;

	bench->ring.mergeable = mergeable;
	bench->driver.indirect = indirect;
	while (received < 3000) {
		bench_post(bench, buffer_bytes, pieces);
		uint16_t n = 1 + given % RING_BURST;
		for (uint16_t i = 0; i < n; i++)
			bench->packets[i] = bench_frame(bench, frame_bytes(given + i), given + i);
		past = !past; /* both ways of writing */
		uint16_t done = ring_give(&bench->ring, past, bench->packets, n, &bench->account);
		assert_true(done > 0);
		given += done;
		rte_pktmbuf_free_bulk(bench->packets, n);
		for (; receive_frame(bench, frame, &bytes); received++) {
			assert_int_equal(bytes, frame_bytes(received));
			check_pattern(frame, bytes, received);
		}
		assert_int_equal(received, given);
	}
	assert_int_equal(bench->account.sent.packets, given);
	assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
	bench_free(bench);
}

static void gives_to_ring(bool packed, uint16_t size)
{
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		gives_what_has_come(packed, size, indirect, false, 4096, 1);
		gives_what_has_come(packed, size, indirect, false, 4096, 2);
		gives_what_has_come(packed, size, indirect, true, 4096, 2);
		gives_what_has_come(packed, size, indirect, true, 1536, 1);
		if (size == SIZE)
			gives_what_has_come(packed, size, indirect, true, 200, 1);
	}
}

static void gives_frames(void **state)
{
	bench_every_size(false, gives_to_ring);
	bench_every_size(true, gives_to_ring);
}

/*
 * A packet that can never fit is dropped at once, one that has no room yet waits; buffers are kept.
 */
static void take_all(struct bench *bench)
{
	uint8_t *buffer;
	uint32_t written;

	while (driver_take_used(&bench->driver, &buffer, &written))
		;
}

/*
 * A packet waits for more buffers: those that are there are not looked at again before another one
 * has come; otherwise the one that has become unsound would retire the ring. A shorter packet need
 * not wait.
 */
static void starves(bool packed, uint16_t size, unsigned pieces)
{
	struct bench *bench = bench_new_of(packed, size);
	const uint32_t lengths[] = {pieces == 1 ? HEADER + 500 : HEADER, 500};
	struct rte_mbuf *packets[] = {bench_frame(bench, 700, 0), bench_frame(bench, 400, 1)};
	struct burst_account *account = &bench->account;

	bench->ring.mergeable = true;
	bench->driver.indirect = true;
	for (unsigned lap = 0; lap < 3u * size; lap++) {
		/* The address comes first in both kinds of descriptors. */
		__virtio64 *address = &bench->ring.desc[bench->driver.next].addr;
		assert_true(driver_offer(&bench->driver, lengths, pieces, true));
		assert_int_equal(ring_give(&bench->ring, false, packets, 1, account), 0);
		const uint64_t sound = *address;
		*address = 0;
		for (unsigned poll = 0; poll < 3; poll++)
			assert_int_equal(ring_give(&bench->ring, false, packets, 1, account), 0);
		assert_int_equal(ring_fault(&bench->ring), RING_SOUND);
		*address = sound;
		assert_int_equal(ring_give(&bench->ring, false, &packets[1], 1, account), 1);
		take_all(bench);
		assert_true(driver_offer(&bench->driver, lengths, pieces, true));
		assert_int_equal(ring_give(&bench->ring, false, packets, 1, account), 0);
		assert_true(driver_offer(&bench->driver, lengths, pieces, true));
		assert_int_equal(ring_give(&bench->ring, false, packets, 1, account), 1);
		take_all(bench);
	}
	rte_pktmbuf_free_bulk(packets, 2);
	bench_free(bench);
}

static void starves_of_buffers(bool packed, uint16_t size)
{
	starves(packed, size, 1);
	starves(packed, size, 2);
}

static void looks_once_at_too_few_buffers(void **state)
{
	bench_every_size(false, starves_of_buffers);
	bench_every_size(true, starves_of_buffers);
}

static void drops_what_never_fits(bool packed, uint16_t size)
{
	struct bench *bench = bench_new_of(packed, size);
	uint32_t small[] = {HEADER + 100};

	bench->packets[0] = bench_frame(bench, 200, 0);
	bench->packets[1] = bench_frame(bench, 100, 1);
	bench->packets[2] = bench_frame(bench, 100, 2);
	assert_int_equal(ring_give(&bench->ring, false, bench->packets, 3, &bench->account), 0);
	driver_offer(&bench->driver, small, 1, true);
	assert_int_equal(ring_give(&bench->ring, false, bench->packets, 3, &bench->account), 2);
	assert_int_equal(bench->account.dropped[DROP_OVERSIZE].packets, 1);
	assert_int_equal(bench->account.sent.packets, 1);
	rte_pktmbuf_free_bulk(bench->packets, 3);

	/* Not even all buffers that the ring can have are enough. */
	bench->ring.mergeable = true;
	bench->packets[0] = bench_frame(bench, 3000, 0);
	uint8_t *buffer;
	uint32_t written, tiny[] = {16};
	driver_take_used(&bench->driver, &buffer, &written);
	driver_offer(&bench->driver, tiny, 1, true);
	assert_int_equal(ring_give(&bench->ring, false, bench->packets, 1, &bench->account), 0);
	while (driver_offer(&bench->driver, tiny, 1, true))
		;
	assert_int_equal(ring_give(&bench->ring, false, bench->packets, 1, &bench->account), 1);
	assert_int_equal(bench->account.dropped[DROP_OVERSIZE].packets, 2);
	assert_int_equal(bench->account.sent.packets, 1);
	rte_pktmbuf_free(bench->packets[0]);
	bench_free(bench);
}

static void drops_only_what_never_fits(void **state)
{
	bench_every_size(false, drops_what_never_fits);
	bench_every_size(true, drops_what_never_fits);
}

static void tells_checked_checksums(void **state)
{
	struct bench *bench = bench_new(false);
	uint32_t bytes[] = {2048};

	for (unsigned believes = 0; believes < 2; believes++) {
		uint8_t *buffer = driver_buffer(&bench->driver);
		driver_offer(&bench->driver, bytes, 1, true);
		bench->ring.data_valid = believes;
		bench->packets[0] = bench_frame(bench, 100, 0);
		bench->packets[0]->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		assert_int_equal(
			ring_give(&bench->ring, false, bench->packets, 1, &bench->account), 1);
		assert_int_equal(buffer[0], believes ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
		rte_pktmbuf_free(bench->packets[0]);
	}
	bench_free(bench);
}

/* Packets with false headers are dropped and counted, and the ring goes on. */
static void drops_malformed(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = bench_new(packed);
		struct virtio_net_hdr lies[] = {
			{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 99, .csum_offset = 0},
			{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = UINT16_MAX},
			{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0},
			{.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 100},
			{.gso_type = 77},
		};
		uint32_t shorts[] = {HEADER - 1}, nothing[] = {HEADER};

		for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
			uint8_t *buffer = driver_buffer(&bench->driver);
			bench_send(bench, 100, 1, 0);
			memcpy(buffer, &lies[i], sizeof(lies[i]));
			bench_send(bench, 60 + i, 1, i);
		}
		driver_offer(&bench->driver, shorts, 1, false);
		driver_offer(&bench->driver, nothing, 1, false);
		assert_int_equal(bench_take(bench, RING_BURST), ARRAY_SIZE(lies));
		assert_int_equal(
			bench->account.dropped[DROP_MALFORMED].packets, ARRAY_SIZE(lies) + 2);
		assert_int_equal(bench->account.received.packets, 2 * ARRAY_SIZE(lies) + 2);
		for (unsigned i = 0; i < ARRAY_SIZE(lies); i++)
			assert_int_equal(bench->packets[i]->pkt_len, 60 + i);
		rte_pktmbuf_free_bulk(bench->packets, ARRAY_SIZE(lies));
		bench_free(bench);
	}
}

/* Buffers and tables may straddle two regions that are neighbours only for the guest. */
static void crosses_regions(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = bench_new(packed);
		const uint64_t border = AT_BUFFERS + 50;
		static uint8_t frame[FRAME_MAX];
		uint8_t *elsewhere = malloc(GUEST_BYTES);
		uint8_t *buffer = driver_buffer(&bench->driver);

		bench_send(bench, 100, 1, 5);
		memcpy(elsewhere, buffer + 50, GUEST_BYTES - border);
		memset(buffer + 50, 0, 200);
		bench->memory.n_regions = 2;
		bench->memory.regions[0].bytes = border;
		bench->memory.regions[1] =
			(struct guest_region){GUEST_GPA + border, GUEST_BYTES - border, elsewhere};
		assert_int_equal(bench_take(bench, 1), 1);
		assert_int_equal(linearize(bench->packets[0], frame), 100);
		check_pattern(frame, 100, 5);
		rte_pktmbuf_free(bench->packets[0]);
		free(elsewhere);
		bench_free(bench);
	}
}

/* Every page that is written to is in the log, and no other. */
static void logs_pages(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench *bench = bench_new(packed);
		const uint64_t first = GUEST_GPA / 4096;
		const uint64_t buffers = first + AT_BUFFERS / 4096;
		const uint64_t used = first + (packed ? AT_DESC : AT_USED) / 4096;

		bench->memory.log = bench->log;
		bench->memory.log_bytes = sizeof(bench->log);
		bench_post(bench, 2048, 1);
		bench->packets[0] = bench_frame(bench, 100, 0);
		bench->packets[1] = bench_frame(bench, 1500, 0);
		assert_int_equal(
			ring_give(&bench->ring, false, bench->packets, 2, &bench->account), 2);
		for (uint64_t page = 0; page < 8 * sizeof(bench->log); page++)
			assert_int_equal(bench->log[page / 8] >> page % 8 & 1,
				page == used || page == buffers || page == buffers + 1);
		rte_pktmbuf_free_bulk(bench->packets, 2);
		bench_free(bench);
	}
}

static unsigned calls(struct bench *bench)
{
	eventfd_t n = 0;

	return eventfd_read(bench->ring.call_fd, &n) == 0 ? n : 0;
}

/* The guest sends `n` packets, which are taken in one burst. */
static unsigned calls_for(struct bench *bench, unsigned n)
{
	uint8_t *buffer;
	uint32_t written;

	for (unsigned i = 0; i < n; i++)
		assert_true(bench_send(bench, 100, 1, 0));
	assert_int_equal(bench_take(bench, n), n);
	rte_pktmbuf_free_bulk(bench->packets, n);
	while (driver_take_used(&bench->driver, &buffer, &written))
		;
	return calls(bench);
}

static void never_call(struct ring *ring)
{
	if (ring->packed)
		ring->driver_event->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	else
		ring->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
}

/* The guest wants to be called when `n` more buffers have been used, and then another one. */
static void call_after(struct ring *ring, uint16_t n)
{
	const uint16_t at = ring->next + n;
	const bool wrap = ring->wrap != (at >= ring->size);

	ring->event_index = true;
	if (!ring->packed) {
		ring->avail->ring[ring->size] = at;
		return;
	}
	ring->driver_event->flags = VRING_PACKED_EVENT_FLAG_DESC;
	ring->driver_event->off_wrap = at % ring->size | wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
}

static void calls_guest(bool packed, uint16_t size)
{
	struct bench *bench = bench_new_of(packed, size);
	const uint16_t all = MIN(size, RING_BURST);

	bench->ring.call_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(calls_for(bench, 1), 1);
	assert_int_equal(bench->ring.n_calls, 1);
	never_call(&bench->ring);
	assert_int_equal(calls_for(bench, 1), 0);
	assert_int_equal(bench->ring.n_calls, 1);
	call_after(&bench->ring, 2);
	assert_int_equal(calls_for(bench, 1), 0);
	assert_int_equal(calls_for(bench, 1), 0);
	assert_int_equal(calls_for(bench, 1), 1);
	assert_int_equal(calls_for(bench, 1), 0);
	for (unsigned laps = 0; laps < 4; laps++) {
		for (uint16_t n = 0; n <= all; n++) {
			call_after(&bench->ring, n);
			assert_int_equal(calls_for(bench, all), n < all);
		}
	}
	close(bench->ring.call_fd);
	bench_free(bench);
}

static void calls_when_asked(void **state)
{
	bench_every_size(false, calls_guest);
	bench_every_size(true, calls_guest);
}

/* How many used buffers the guest sees and takes back. */
static unsigned take_back(struct bench *bench)
{
	uint8_t *buffer;
	uint32_t written;
	unsigned n = 0;

	while (driver_take_used(&bench->driver, &buffer, &written))
		n++;
	return n;
}

/* The device takes `n` packets of `sent`; returns how many buffers the guest sees used then. */
static unsigned take_some(struct bench *bench, unsigned sent, unsigned pieces, uint16_t n)
{
	for (unsigned i = 0; i < sent; i++)
		assert_true(bench_send(bench, 100, pieces, i));
	uint16_t taken = bench_take(bench, n);
	assert_int_equal(taken, n < sent ? n : sent);
	rte_pktmbuf_free_bulk(bench->packets, taken);
	return take_back(bench);
}

static void holds_used(bool indirect)
{
	struct bench *bench = bench_new_of(false, 128);
	struct ring *ring = &bench->ring;

	bench->driver.indirect = indirect;
	ring->call_fd = eventfd(0, EFD_NONBLOCK);
	call_after(ring, 0);
	take_some(bench, 1, 1, RING_BURST); /* the first call comes in any case */
	calls(bench);
	ring->hold_cycles = UINT64_MAX;
	for (unsigned round = 0; round < 50; round++) {
		/* Up to a quarter of the ring; then the guest sees all of them, and is called. */
		call_after(ring, round % 32);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(take_some(bench, 8, 1, 8), 0);
		assert_int_equal(calls(bench), 0);
		assert_int_equal(take_some(bench, 8, 1, 8), 32);
		assert_int_equal(calls(bench), 1);
		/* Until a burst is not full. An empty one is not enough, */
		assert_int_equal(take_some(bench, 8, 1, 8), 0);
		assert_int_equal(take_some(bench, 0, 1, RING_BURST), 0);
		assert_int_equal(take_some(bench, 3, 1, RING_BURST), 11);
		/* unless it comes late. */
		assert_int_equal(take_some(bench, 8, 1, 8), 0);
		ring->held.since = rte_rdtsc() - 1000000;
		ring->hold_cycles = 1000000;
		assert_int_equal(take_some(bench, 0, 1, RING_BURST), 8);
		ring->hold_cycles = UINT64_MAX;
		/* No buffers that take more descriptors than there are of them. */
		assert_int_equal(take_some(bench, 8, 1, 8), 0);
		assert_int_equal(take_some(bench, 4, 2, 4), 12);
		/* Not while the worker sleeps, and not beyond its use of the ring. */
		assert_int_equal(take_some(bench, 8, 1, 8), 0);
		ring_ask_to_notify(ring, false);
		assert_int_equal(take_back(bench), 0);
		ring_ask_to_notify(ring, true);
		assert_int_equal(take_back(bench), 8);
		assert_int_equal(take_some(bench, 8, 1, 8), 0);
		ring_end(ring, 0);
		assert_int_equal(take_back(bench), 8);
		ring_end(ring, 0);
		assert_int_equal(take_back(bench), 0);
		calls(bench);
	}
	/* Nor when the guest breaks the rules behind them. */
	assert_int_equal(take_some(bench, 8, 1, 8), 0);
	assert_true(driver_offer(&bench->driver, &(uint32_t){100}, 1, true));
	assert_int_equal(take_some(bench, 0, 1, RING_BURST), 8);
	assert_int_equal(ring_fault(ring), RING_DIRECTION);
	close(ring->call_fd);
	bench_free(bench);
}

/* What full bursts have used is shown together, but soon. */
static void holds_what_full_bursts_used(void **state)
{
	holds_used(false);
	holds_used(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_frames),
		cmocka_unit_test(takes_bounded_bursts),
		cmocka_unit_test(waits_for_packets),
		cmocka_unit_test(gives_frames),
		cmocka_unit_test(looks_once_at_too_few_buffers),
		cmocka_unit_test(drops_only_what_never_fits),
		cmocka_unit_test(tells_checked_checksums),
		cmocka_unit_test(drops_malformed),
		cmocka_unit_test(crosses_regions),
		cmocka_unit_test(logs_pages),
		cmocka_unit_test(calls_when_asked),
		cmocka_unit_test(holds_what_full_bursts_used),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
