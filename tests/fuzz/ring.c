/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that does anything at all with its memory and its rings, while the device takes packets
 * from them and gives packets to them. The input is a byte of options, a byte for the ring's size
 * (0: 32), and steps: a byte says which one (steps[]), followed by what the step reads. The guest's
 * regions are adjacent for the guest and apart for us, each exactly as long as it is, so that an
 * access outside is noticed. Whatever the driver does:
 *
 * - packets taken are whole, copied or lent, and every buffer of the pool is either in one of them
 *   or back;
 * - counters and the ring's position agree;
 * - the device writes only where it may (when taking, only to the used ring), nothing at all in a
 *   ring that is retired or whose position does not move (except to show what was held), and all
 *   its writes are in the log.
 */
#include "core/ring/ring.h"
#include "base/util.h"
#include "core/ring/ring_loans.h"
#include "pool.h"

#include <stdalign.h>
#include <sys/eventfd.h>

#define BUFFERS 96
#define STEPS_MAX 300
#define GPA 0x100000ULL
#define DATA_BYTES 0x4000
#define PAGE_BYTES 4096
#define GIVE_PAST (1 << 7)
#define LOG_BYTES 36           /* up to the highest address */
#define PACKET_BYTES_MAX 65557 /* what an IP packet may have, with Ethernet and two tags */

enum option {
	PACKED = 1 << 0,
	MERGEABLE = 1 << 1,
	EVENT_INDEX = 1 << 2,
	SHORT_HEADER = 1 << 3,
	DATA_VALID = 1 << 4,
	LOGGED = 1 << 5,
	CALLED = 1 << 6,
	LENT = 1 << 7,
};

enum region { DATA, DESC, AVAIL, USED, REGIONS_N };

struct guest {
	struct guest_memory memory;
	struct ring ring;
	uint8_t *before[REGIONS_N]; /* contents of the regions before the device's turn */
	struct lender lender;
	struct rte_mbuf *sending[LOANS_MAX]; /* LENT: what the device has not sent, */
	unsigned n_sending;
	uint16_t driver_next; /* split: the available index */
	struct rte_mbuf *kept[BUFFERS];
	unsigned n_kept;
};

static struct rte_mempool *pool;
static int call_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pool = pool_make(BUFFERS);
	call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	require(call_fd >= 0);
	return 0;
}

static void add_region(struct guest *guest, uint64_t bytes)
{
	unsigned i = guest->memory.n_regions++;
	struct guest_region *region = &guest->memory.regions[i];

	*region = (struct guest_region){GPA, bytes, calloc(1, bytes)};
	if (i > 0)
		region->gpa = region[-1].gpa + region[-1].bytes;
	guest->before[i] = malloc(bytes);
	require(region->host && guest->before[i]);
}

/* As the gate lets it pass, see gate_rules.h. */
static struct guest *guest_new(uint8_t options, uint8_t size)
{
	struct guest *guest = calloc_aligned(alignof(struct guest), sizeof(*guest));
	bool packed = options & PACKED;

	require(guest);
	struct ring *ring = &guest->ring;
	ring->size = packed ? 2 + (uint8_t)(size + 30) : 2 << (size + 4) % 8;
	add_region(guest, DATA_BYTES);
	add_region(guest, 16U * ring->size);
	add_region(guest, packed ? 4 : 6 + 2U * ring->size);
	add_region(guest, packed ? 4 : 6 + 8U * ring->size);
	ring->memory = &guest->memory;
	ring->desc = (struct vring_desc *)guest->memory.regions[DESC].host;
	ring->avail = (struct vring_avail *)guest->memory.regions[AVAIL].host;
	ring->used = (struct vring_used *)guest->memory.regions[USED].host;
	ring->packed = ring->wrap = packed;
	ring->mergeable = options & MERGEABLE;
	ring->event_index = options & EVENT_INDEX;
	ring->data_valid = options & DATA_VALID;
	ring->header_bytes = options & SHORT_HEADER && !packed && !ring->mergeable
	                             ? sizeof(struct virtio_net_hdr)
	                             : sizeof(struct virtio_net_hdr_mrg_rxbuf);
	ring->call_fd = options & CALLED ? call_fd : -1;
	ring->kick_fd = -1;
	guest->lender = (struct lender){.chains = true, .segments = true, .max = LOANS_MAX};
	if (options & LENT)
		ring->loans = ring_loans_new();
	if (options & LOGGED) {
		guest->memory.log = calloc(1, LOG_BYTES);
		guest->memory.log_bytes = LOG_BYTES;
		require(guest->memory.log);
	}
	return guest;
}

static void guest_free(struct guest *guest)
{
	rte_pktmbuf_free_bulk(guest->kept, guest->n_kept);
	rte_pktmbuf_free_bulk(guest->sending, guest->n_sending);
	require(rte_mempool_in_use_count(pool) == 0 && guest->lender.n_out == 0);
	require(ring_loans_free(guest->ring.loans));
	for (unsigned i = 0; i < REGIONS_N; i++) {
		free(guest->memory.regions[i].host);
		free(guest->before[i]);
	}
	free(guest->memory.log);
	free(guest);
}

/* The driver's side. */

/* Reads a region, an offset (2 bytes), a length and the bytes: writes anywhere in memory. */
static void write_memory(struct guest *guest, struct input *input)
{
	const struct guest_region *region = &guest->memory.regions[input_byte(input) % REGIONS_N];
	uint64_t offset = input_word(input) % region->bytes;
	uint8_t length = input_byte(input);

	input_bytes(input, region->host + offset, MIN(length, region->bytes - offset));
}

/* A packed descriptor is available in this lap if it is behind the device's position. */
static uint16_t available_flags(const struct ring *ring, unsigned number)
{
	bool wrap = number >= ring->next ? ring->wrap : !ring->wrap;

	return 1 << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
}

/*
 * Reads its number (2 bytes), where the buffer begins in memory (2 bytes), its length (2 bytes),
 * its flags (bit 3: not available), and the number of the next one or the id.
 */
static void describe_at(struct guest *guest, struct input *input, bool in_table)
{
	const struct ring *ring = &guest->ring;
	unsigned number = input_word(input) % (in_table ? DATA_BYTES / 16 : ring->size);
	uint64_t gpa = GPA + input_word(input);
	uint32_t bytes = input_word(input);
	uint16_t flags = input_byte(input), next = input_byte(input);
	void *at = in_table ? (void *)(guest->memory.regions[DATA].host + 16ULL * number)
	                    : &ring->desc[number];

	if (ring->packed && !in_table && !(flags & 1 << 3))
		flags |= available_flags(ring, number);
	flags &= ~(1 << 3);
	if (ring->packed)
		*(struct vring_packed_desc *)at =
			(struct vring_packed_desc){gpa, bytes, next, flags};
	else
		*(struct vring_desc *)at = (struct vring_desc){gpa, bytes, flags, next};
}

static void describe(struct guest *guest, struct input *input)
{
	describe_at(guest, input, false);
}

/* The same in an indirect table. */
static void describe_entry(struct guest *guest, struct input *input)
{
	describe_at(guest, input, true);
}

/* Split: puts the number of a head into the available ring. */
static void offer(struct guest *guest, struct input *input)
{
	struct ring *ring = &guest->ring;
	uint8_t head = input_byte(input);

	if (ring->packed)
		return;
	ring->avail->ring[guest->driver_next++ % ring->size] = head;
	ring->avail->idx = guest->driver_next;
}

/* The device's side. */

static void check_logged(const struct guest *guest, uint64_t gpa)
{
	const uint64_t page = gpa / PAGE_BYTES;

	if (guest->memory.log)
		require(guest->memory.log[page / 8] & 1 << page % 8);
}

/* Everything that has changed is in `region` (REGIONS_N: anywhere in memory), and is logged. */
static void check_writes(const struct guest *guest, enum region region)
{
	for (unsigned i = 0; i < REGIONS_N; i++) {
		const struct guest_region *now = &guest->memory.regions[i];
		if (memcmp(guest->before[i], now->host, now->bytes) == 0)
			continue;
		require(region == REGIONS_N || region == i);
		for (uint64_t at = 0; at < now->bytes; at++)
			if (guest->before[i][at] != now->host[at])
				check_logged(guest, now->gpa + at);
	}
}

static void remember(struct guest *guest)
{
	for (unsigned i = 0; i < REGIONS_N; i++)
		memcpy(guest->before[i], guest->memory.regions[i].host,
			guest->memory.regions[i].bytes);
	if (guest->memory.log)
		memset(guest->memory.log, 0, guest->memory.log_bytes);
}

/* Checks a turn of the device; `was` is the ring before it. */
static void check_turn(
	const struct guest *guest, const struct ring *was, uint64_t done, enum region writes)
{
	const struct ring *ring = &guest->ring;
	bool moved = ring->next != was->next || ring->wrap != was->wrap;

	require(!ring->packed || ring->next < ring->size);
	require(ring_fault(was) == RING_SOUND || (!moved && done == 0));
	require(ring->loans || moved == (done > 0));
	require(ring->held.n == 0 || ring->held.n < ring->size / 4);
	if (!moved && ring->held.n == was->held.n) {
		for (unsigned i = 0; i < REGIONS_N; i++)
			require(memcmp(guest->before[i], guest->memory.regions[i].host,
					guest->memory.regions[i].bytes) == 0);
		return;
	}
	check_writes(guest, writes);
}

static uint64_t count_dropped(const struct burst_account *account)
{
	uint64_t packets = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(account->dropped); i++)
		packets += account->dropped[i].packets;
	return packets;
}

static void check_packet(const struct rte_mbuf *packet)
{
	uint32_t bytes = 0, pieces = 0;

	require(packet->pkt_len > 0 && packet->pkt_len <= PACKET_BYTES_MAX);
	for (const struct rte_mbuf *piece = packet; piece; piece = piece->next) {
		require(piece->data_off + piece->data_len <= piece->buf_len);
		require(piece->pool == pool && rte_mbuf_refcnt_read(piece) == 1);
		bytes += piece->data_len;
		pieces++;
	}
	require(bytes == packet->pkt_len && pieces == packet->nb_segs);
}

/* The device sends lent packets later, see send_some(). */
static void keep_or_free(struct guest *guest, struct rte_mbuf **packets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (guest->ring.loans && guest->n_sending < LOANS_MAX)
			guest->sending[guest->n_sending++] = packets[i];
		else
			rte_pktmbuf_free(packets[i]);
}

/* Reads how many packets the device has sent: the latest ones, so out of order. */
static void send_some(struct guest *guest, struct input *input)
{
	for (unsigned n = input_byte(input); n > 0 && guest->n_sending > 0; n--)
		rte_pktmbuf_free(guest->sending[--guest->n_sending]);
}

/* The workers lose the rings and get them back. */
static void end(struct guest *guest, struct input *input)
{
	const struct ring was = guest->ring;

	remember(guest);
	ring_end(&guest->ring, 0);
	require(!guest->ring.loans || guest->ring.loans->unsent == (guest->lender.n_out > 0));
	require(ring_fault(&was) == RING_SOUND || guest->ring.next == was.next);
	require(ring_fault(&was) != RING_SOUND || guest->ring.held.n == 0);
	check_writes(guest, guest->ring.packed ? DESC : USED);
}

/* Reads how many packets to take. */
static void take(struct guest *guest, struct input *input)
{
	struct rte_mbuf *packets[RING_BURST];
	struct burst_account account = {0};
	struct ring was = guest->ring;
	unsigned held = rte_mempool_in_use_count(pool), buffers = 0;
	uint16_t n = input_byte(input) % (RING_BURST + 1);

	remember(guest);
	uint16_t taken = ring_take(&guest->ring, pool, guest->ring.loans ? &guest->lender : NULL,
		packets, n, &account);
	require(taken <= n && account.received.packets <= n);
	require(account.received.packets == taken + count_dropped(&account));
	for (unsigned i = 0; i < taken; i++) {
		check_packet(packets[i]);
		buffers += packets[i]->nb_segs;
	}
	require(rte_mempool_in_use_count(pool) == held + buffers);
	keep_or_free(guest, packets, taken);
	check_turn(guest, &was, account.received.packets, guest->ring.packed ? DESC : USED);
	if (!guest->ring.packed && !guest->ring.loans)
		require((uint16_t)(guest->ring.next - was.next) == account.received.packets);
}

/* A packet of `bytes` in pieces; NULL if the pool is empty. */
static struct rte_mbuf *make_packet(uint32_t bytes, uint32_t piece_bytes)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(pool), *last = packet;

	if (!packet)
		return NULL;
	packet->ol_flags = bytes & 1 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;
	for (uint32_t left = bytes; left > 0;) {
		uint16_t part = MIN(left, MIN(piece_bytes, rte_pktmbuf_tailroom(last)));
		memset(rte_pktmbuf_append(packet, part), 0xa5, part);
		left -= part;
		if (left == 0)
			break;
		struct rte_mbuf *more = rte_pktmbuf_alloc(pool);
		if (!more || rte_pktmbuf_chain(packet, more) != 0) {
			rte_pktmbuf_free(more);
			break;
		}
		last = more;
	}
	return packet;
}

/*
 * Reads how many packets to give (bit 7: past the cache), how long the first one is (2 bytes), and
 * how long its pieces are (2 bytes).
 */
static void give(struct guest *guest, struct input *input)
{
	struct rte_mbuf *packets[RING_BURST];
	struct burst_account account = {0};
	struct ring was = guest->ring;
	const uint8_t how = input_byte(input);
	const bool past = how & GIVE_PAST;
	uint16_t n, wanted = (how & ~GIVE_PAST) % (RING_BURST + 1);
	uint32_t bytes = 1 + input_word(input) % 20000, piece_bytes = 1 + input_word(input);

	for (n = 0; n < wanted; n++) {
		packets[n] = make_packet(bytes, piece_bytes);
		if (!packets[n])
			break;
		bytes = 1 + bytes * 5 % 9001;
	}
	remember(guest);
	uint16_t done = ring_give(&guest->ring, past, packets, n, &account);
	require(done <= n && account.sent.packets + count_dropped(&account) == done);
	for (unsigned i = 0; i < n; i++)
		check_packet(packets[i]);
	rte_pktmbuf_free_bulk(packets, n);
	check_turn(guest, &was, account.sent.packets, REGIONS_N);
}

/* On or off. */
static void ask_to_notify(struct guest *guest, struct input *input)
{
	const bool on = input_byte(input) & 1, sound = ring_fault(&guest->ring) == RING_SOUND;

	remember(guest);
	ring_ask_to_notify(&guest->ring, on);
	require(guest->ring.held.n == 0 || !on || !sound);
	check_writes(guest, USED);
}

/* Reads how many buffers the pool has left. */
static void dry_up(struct guest *guest, struct input *input)
{
	unsigned left = input_byte(input) % (BUFFERS + 1);

	rte_pktmbuf_free_bulk(guest->kept, guest->n_kept);
	guest->n_kept = MIN(BUFFERS - left, rte_mempool_avail_count(pool));
	require(guest->n_kept == 0 ||
		rte_pktmbuf_alloc_bulk(pool, guest->kept, guest->n_kept) == 0);
}

/* Reads for how long used buffers may be held: not at all, until the next burst, or for ever. */
static void hold(struct guest *guest, struct input *input)
{
	static const uint64_t cycles[] = {0, 1, UINT64_MAX};

	guest->ring.hold_cycles = cycles[input_byte(input) % ARRAY_SIZE(cycles)];
}

typedef void step(struct guest *guest, struct input *input);

static step *const steps[] = {write_memory, describe, describe_entry, offer, take, give,
	ask_to_notify, dry_up, send_some, end, hold};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t options = input_byte(&input);
	struct guest *guest = guest_new(options, input_byte(&input));

	for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++)
		steps[input_byte(&input) % ARRAY_SIZE(steps)](guest, &input);
	guest_free(guest);
	return 0;
}
