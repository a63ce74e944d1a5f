/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Our rings against those of DPDK's vhost library. Two drivers do the same, one in memory that the
 * library serves, one in memory that we serve. After each burst both memories and the packets must
 * be the same and, for split rings, the number of calls.
 */

#include "core/packet/packet_fixture.h"

#include <fcntl.h>
#include <rte_vhost.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/gate/vhost_user.h"
#include "core/gate/vhost_user_fixture.h"
#include "core/ring/ring.h"
#include "core/ring/ring_fixture.h"
#include "core/ring/ring_loans.h"

#define SIZE 64
#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define FRAME_LONGEST 3500 /* the longest frame that the guest sends */
#define ROUNDS 400
#define UVA 0x7f0000000000ULL
#define READY_TIMEOUT_S 10

enum { RECEIVE, TRANSMIT, RINGS_N };

struct variant {
	bool packed, mergeable, indirect, event_index, lends, in_order;
};

/* One of the two sides: the library's, or ours. */
struct side {
	uint8_t *memory; /* of both rings, GUEST_BYTES each */
	struct driver drivers[RINGS_N];
	int calls[RINGS_N]; /* eventfds */
};

struct duel {
	struct variant variant;
	struct side library, ours;
	int memory_fd, connection, kick;
	char path[64];
	struct guest_memory guest_memory;
	struct ring rings[RINGS_N];
	struct lender lender;
	struct rte_mempool *pool;
	struct burst_account account;
	unsigned seed, numbered;
};

static _Atomic int ready_vid; /* the library's callbacks have no context */

static int on_new_device(int vid)
{
	atomic_store(&ready_vid, vid);
	return 0;
}

static void on_destroy_device(int vid)
{
	atomic_store(&ready_vid, -1);
}

static const struct rte_vhost_device_ops callbacks = {
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
};

static uint64_t features(const struct variant *variant)
{
	return 1ULL << VIRTIO_F_VERSION_1 | (uint64_t)variant->packed << VIRTIO_F_RING_PACKED |
	       (uint64_t)variant->mergeable << VIRTIO_NET_F_MRG_RXBUF |
	       (uint64_t)variant->event_index << VIRTIO_RING_F_EVENT_IDX |
	       (uint64_t)variant->in_order << VIRTIO_F_IN_ORDER |
	       1ULL << VIRTIO_RING_F_INDIRECT_DESC;
}

static void say(struct duel *duel, uint32_t request, const void *payload, uint32_t bytes, int fd)
{
	vhost_user_send(duel->connection, request, 0, payload, bytes, fd);
}

static void say_number(struct duel *duel, uint32_t request, uint64_t number, int fd)
{
	say(duel, request, &number, sizeof(number), fd);
}

static void say_ring(struct duel *duel, uint32_t request, unsigned ring, uint32_t number)
{
	say(duel, request, &(struct vhost_user_ring_state){ring, number},
		sizeof(struct vhost_user_ring_state), -1);
}

static void start_ring(struct duel *duel, unsigned ring)
{
	uint64_t base = UVA + ring * GUEST_BYTES;
	struct vhost_user_ring_addr addr = {.index = ring,
		.desc = base + AT_DESC,
		.avail = base + AT_AVAIL,
		.used = base + AT_USED};

	say_ring(duel, VHOST_USER_SET_VRING_NUM, ring, SIZE);
	say_ring(duel, VHOST_USER_SET_VRING_BASE, ring, duel->variant.packed ? 1 << 15 : 0);
	say(duel, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	say_number(duel, VHOST_USER_SET_VRING_CALL, ring, duel->library.calls[ring]);
	say_number(duel, VHOST_USER_SET_VRING_KICK, ring, duel->kick);
}

static void connect_library(struct duel *duel)
{
	struct vhost_user_memory memory = {.n_regions = 1,
		.regions = {{.gpa = GUEST_GPA, .bytes = RINGS_N * GUEST_BYTES, .uva = UVA}}};

	snprintf(duel->path, sizeof(duel->path), "/tmp/ring_library_test.%d", getpid());
	atomic_store(&ready_vid, -1);
	assert_int_equal(rte_vhost_driver_register(duel->path, 0), 0);
	assert_int_equal(rte_vhost_driver_callback_register(duel->path, &callbacks), 0);
	assert_int_equal(rte_vhost_driver_start(duel->path), 0);
	duel->connection = vhost_user_connect(duel->path);
	say(duel, VHOST_USER_SET_OWNER, NULL, 0, -1);
	say_number(duel, VHOST_USER_SET_FEATURES, features(&duel->variant), -1);
	say(duel, VHOST_USER_SET_MEM_TABLE, &memory, offsetof(struct vhost_user_memory, regions[1]),
		duel->memory_fd);
	for (unsigned i = 0; i < RINGS_N; i++)
		start_ring(duel, i);
	for (unsigned ms = 0; atomic_load(&ready_vid) < 0; ms++) {
		assert_in_range(ms, 0, READY_TIMEOUT_S * 1000);
		usleep(1000);
	}
}

static void init_side(struct duel *duel, struct side *side, uint8_t *memory)
{
	side->memory = memory;
	for (unsigned i = 0; i < RINGS_N; i++) {
		driver_init(
			&side->drivers[i], memory + i * GUEST_BYTES, SIZE, duel->variant.packed);
		side->drivers[i].gpa = GUEST_GPA + i * GUEST_BYTES;
		side->drivers[i].indirect = duel->variant.indirect;
		side->drivers[i].in_order = duel->variant.in_order;
		side->calls[i] = eventfd(0, EFD_NONBLOCK);
	}
}

static void init_ours(struct duel *duel)
{
	duel->guest_memory = one_region(duel->ours.memory);
	duel->guest_memory.regions[0].bytes = RINGS_N * GUEST_BYTES;
	for (unsigned i = 0; i < RINGS_N; i++) {
		struct ring *ring = &duel->rings[i];
		driver_ring(&duel->ours.drivers[i], &duel->guest_memory, ring);
		ring->mergeable = duel->variant.mergeable;
		ring->event_index = duel->variant.event_index;
		ring->in_order = duel->variant.in_order && i == TRANSMIT;
		ring->call_fd = duel->ours.calls[i];
	}
	if (duel->variant.lends) {
		duel->rings[TRANSMIT].loans = ring_loans_new();
		duel->lender = (struct lender){.chains = true, .segments = true, .max = UINT16_MAX};
	}
}

static void start_duel(struct duel *duel, const struct variant *variant)
{
	*duel = (struct duel){.variant = *variant, .seed = 1};
	duel->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(duel->memory_fd, RINGS_N * GUEST_BYTES), 0);
	init_side(duel, &duel->library,
		mmap(NULL, RINGS_N * GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			duel->memory_fd, 0));
	init_side(duel, &duel->ours, malloc(RINGS_N * GUEST_BYTES));
	init_ours(duel);
	duel->kick = eventfd(0, EFD_NONBLOCK);
	duel->pool = make_pool(1000);
	connect_library(duel);
}

static void end_duel(struct duel *duel)
{
	close(duel->connection);
	rte_vhost_driver_unregister(duel->path);
	for (unsigned i = 0; i < RINGS_N; i++) {
		close(duel->library.calls[i]);
		close(duel->ours.calls[i]);
	}
	close(duel->kick);
	munmap(duel->library.memory, RINGS_N * GUEST_BYTES);
	close(duel->memory_fd);
	free(duel->ours.memory);
	assert_true(ring_loans_free(duel->rings[TRANSMIT].loans));
	free_pool(duel->pool);
}

static unsigned chance(struct duel *duel, unsigned n)
{
	return rand_r(&duel->seed) % n;
}

/*
 * What a used descriptor of a packed ring means to the driver. If it was only read, its length and
 * its other flags mean nothing (virtio 1.2, 2.8.10).
 */
static struct vring_packed_desc meaning(const uint8_t *memory, unsigned number)
{
	struct vring_packed_desc desc =
		((const struct vring_packed_desc *)(memory + AT_DESC))[number];
	bool is_avail = desc.flags & 1 << VRING_PACKED_DESC_F_AVAIL;
	bool is_used = desc.flags & 1 << VRING_PACKED_DESC_F_USED;

	if (is_avail == is_used && !(desc.flags & VRING_DESC_F_WRITE)) {
		desc.len = 0;
		desc.flags &= ~(VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT);
	}
	return desc;
}

static void compare_memory(struct duel *duel, unsigned ring)
{
	const uint8_t *theirs = duel->library.memory + ring * GUEST_BYTES;
	const uint8_t *mine = duel->ours.memory + ring * GUEST_BYTES;
	unsigned from = duel->variant.packed ? AT_DESC + SIZE * sizeof(struct vring_desc) : 0;

	assert_memory_equal(theirs + from, mine + from, GUEST_BYTES - from);
	if (duel->rings[ring].in_order)
		return; /* each side may mark what it likes in a burst */
	for (unsigned i = 0; duel->variant.packed && i < SIZE; i++) {
		struct vring_packed_desc a = meaning(theirs, i), b = meaning(mine, i);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

/* Both drivers see the same, and the guests have been called equally often. */
static void compare(struct duel *duel, unsigned ring)
{
	eventfd_t theirs = 0, mine = 0;

	compare_memory(duel, ring);
	eventfd_read(duel->library.calls[ring], &theirs);
	eventfd_read(duel->ours.calls[ring], &mine);
	/*
	 * On packed rings the library (22.11) calls even if it has used nothing; and loans are
	 * given back in two parts.
	 */
	if (!duel->variant.packed && !duel->variant.lends)
		assert_int_equal(theirs, mine);
}

static void take_back(struct duel *duel, unsigned ring, unsigned n)
{
	for (uint32_t lengths[2]; n > 0; n--) {
		uint8_t *buffers[2];
		bool theirs =
			driver_take_used(&duel->library.drivers[ring], &buffers[0], &lengths[0]);
		bool mine = driver_take_used(&duel->ours.drivers[ring], &buffers[1], &lengths[1]);
		assert_int_equal(theirs, mine);
		if (!mine)
			return;
		if (ring == RECEIVE)
			assert_int_equal(lengths[0], lengths[1]);
	}
}

/* Splits `bytes` into up to four pieces; the first holds at least the header. */
static unsigned cut(struct duel *duel, uint32_t bytes, uint32_t *ret_pieces)
{
	unsigned n = 1 + chance(duel, 4), i;

	ret_pieces[0] = bytes;
	for (i = 0; i + 1 < n && ret_pieces[i] > HEADER + 1; i++) {
		uint32_t first = HEADER + chance(duel, ret_pieces[i] - HEADER);
		ret_pieces[i + 1] = ret_pieces[i] - first;
		ret_pieces[i] = first;
	}
	return i + 1;
}

static bool offer(struct duel *duel, unsigned ring, uint32_t bytes, bool writable)
{
	struct driver *theirs = &duel->library.drivers[ring], *mine = &duel->ours.drivers[ring];
	uint8_t *buffer = driver_buffer(mine);
	uint32_t pieces[4];
	unsigned n = cut(duel, bytes, pieces);

	/*
	 * The library's batches (22.11) take each descriptor of a packed receive chain for a
	 * buffer.
	 */
	if (writable && mine->packed) {
		pieces[0] = bytes;
		n = 1;
	}

	if (n > mine->n_free)
		return false;
	/* The library does not write num_buffers, as it must (virtio 1.2, 5.1.6.4.1). */
	((struct virtio_net_hdr_mrg_rxbuf *)buffer)->num_buffers = 1;
	((struct virtio_net_hdr_mrg_rxbuf *)driver_buffer(theirs))->num_buffers = 1;
	if (!writable) {
		memset(buffer, 0, HEADER);
		memset(buffer + HEADER, chance(duel, 256), bytes - HEADER);
		buffer[HEADER + chance(duel, bytes - HEADER)] ^= 0x5a;
		memcpy(driver_buffer(theirs), buffer, bytes);
	}
	assert_true(driver_offer(theirs, pieces, n, writable));
	assert_true(driver_offer(mine, pieces, n, writable));
	return true;
}

/* Both guests want to be called at the same position. */
static void want_call(struct duel *duel, unsigned ring)
{
	struct vring_packed_desc_event event = {
		.off_wrap = chance(duel, SIZE) | chance(duel, 2) << 15, .flags = chance(duel, 3)};
	struct side *sides[] = {&duel->library, &duel->ours};

	for (unsigned i = 0; i < ARRAY_SIZE(sides); i++) {
		uint8_t *avail = sides[i]->memory + ring * GUEST_BYTES + AT_AVAIL;
		struct vring_avail *split = (struct vring_avail *)avail;
		if (duel->variant.packed) {
			memcpy(avail, &event, sizeof(event));
		} else {
			split->ring[SIZE] = duel->rings[ring].next + event.off_wrap % SIZE;
			split->flags = event.flags % 2;
		}
	}
}

static void burst_from_guest(struct duel *duel)
{
	struct rte_mbuf *theirs[RING_BURST], *mine[RING_BURST];
	static uint8_t frames[2][FRAME_MAX];
	uint16_t n = 1 + chance(duel, RING_BURST_BYTES / FRAME_LONGEST); /* the library takes all */

	for (unsigned k = chance(duel, RING_BURST); k > 0; k--)
		offer(duel, TRANSMIT, HEADER + 14 + chance(duel, FRAME_LONGEST - 14), false);
	want_call(duel, TRANSMIT);
	uint16_t n_theirs =
		rte_vhost_dequeue_burst(atomic_load(&ready_vid), TRANSMIT, duel->pool, theirs, n);
	uint16_t n_mine = ring_take(&duel->rings[TRANSMIT], duel->pool,
		duel->variant.lends ? &duel->lender : NULL, mine, n, &duel->account);
	assert_int_equal(n_theirs, n_mine);
	for (uint16_t i = 0; i < n_mine; i++) {
		unsigned bytes = linearize(mine[i], frames[0]);
		assert_int_equal(linearize(theirs[i], frames[1]), bytes);
		assert_memory_equal(frames[0], frames[1], bytes);
	}
	rte_pktmbuf_free_bulk(theirs, n_theirs);
	rte_pktmbuf_free_bulk(mine, n_mine);
	if (duel->variant.lends)
		ring_take(&duel->rings[TRANSMIT], duel->pool, NULL, NULL, 0, &duel->account);
	compare(duel, TRANSMIT);
	take_back(duel, TRANSMIT, chance(duel, 2 * RING_BURST));
}

static struct rte_mbuf *random_packet(struct duel *duel)
{
	const struct shape shape = {
		.udp = true,
		.source_port = duel->numbered++,
		.payload_bytes = chance(duel, 3) == 0 ? chance(duel, 2900) : chance(duel, 60),
		.piece_bytes = chance(duel, 8) == 0 ? 700 : 0,
	};

	return make_packet(duel->pool, &shape);
}

static void burst_to_guest(struct duel *duel)
{
	const uint32_t buffer_bytes = duel->variant.mergeable ? 1000 : 3000;
	struct rte_mbuf *packets[RING_BURST];
	uint16_t n = 1 + chance(duel, RING_BURST);

	for (unsigned k = chance(duel, RING_BURST); k > 0; k--)
		offer(duel, RECEIVE, buffer_bytes + chance(duel, 1000), true);
	want_call(duel, RECEIVE);
	for (uint16_t i = 0; i < n; i++)
		packets[i] = random_packet(duel);
	uint16_t n_theirs = rte_vhost_enqueue_burst(atomic_load(&ready_vid), RECEIVE, packets, n);
	uint16_t n_mine =
		ring_give(&duel->rings[RECEIVE], chance(duel, 2), packets, n, &duel->account);
	assert_int_equal(n_theirs, n_mine);
	rte_pktmbuf_free_bulk(packets, n);
	compare(duel, RECEIVE);
	take_back(duel, RECEIVE, chance(duel, 2 * RING_BURST));
}

static void same_as_the_library(void **state)
{
	const struct variant *variant = *state;
	struct duel *duel = calloc_aligned(alignof(struct duel), sizeof(*duel));

	start_duel(duel, variant);
	for (unsigned i = 0; i < ROUNDS; i++) {
		burst_from_guest(duel);
		burst_to_guest(duel);
	}
	assert_int_equal(duel->account.dropped[DROP_MALFORMED].packets, 0);
	assert_int_equal(duel->account.dropped[DROP_OVERSIZE].packets, 0);
	assert_true(duel->account.sent.packets > ROUNDS);
	assert_true(duel->account.received.packets > ROUNDS);
	end_duel(duel);
	free(duel);
}

#define DUEL(name, ...)                                                  \
	(struct CMUnitTest)                                              \
	{                                                                \
		name, same_as_the_library, NULL, NULL, &(struct variant) \
		{                                                        \
			__VA_ARGS__                                      \
		}                                                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DUEL("split", .packed = false),
		DUEL("split, indirect", .indirect = true),
		DUEL("split, event index", .event_index = true),
		DUEL("split, mergeable", .mergeable = true),
		DUEL("split, mergeable, indirect", .mergeable = true, .indirect = true),
		DUEL("split, lent", .lends = true),
		DUEL("split, indirect, lent", .indirect = true, .lends = true),
		DUEL("packed, lent", .packed = true, .lends = true),
		DUEL("packed, indirect, lent", .packed = true, .indirect = true, .lends = true),
		DUEL("packed", .packed = true),
		DUEL("packed, indirect", .packed = true, .indirect = true),
		DUEL("packed, event index", .packed = true, .event_index = true),
		DUEL("packed, in order", .packed = true, .in_order = true),
		DUEL("packed, in order, indirect, lent", .packed = true, .in_order = true,
			.indirect = true, .lends = true),
		DUEL("packed, mergeable", .packed = true, .mergeable = true),
		DUEL("packed, mergeable, indirect", .packed = true, .mergeable = true,
			.indirect = true),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
