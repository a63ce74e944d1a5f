/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VF to VM: from the device's receive queues into the guest's receive rings.
 */

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/offload.h"
#include "core/vf/vf.h"
#include "core/vf/vf_receive.h"

/*
 * How long one of several rings, whose share of the backlog is full, may hold back the device; not
 * again before its queue has been empty. Longer than a virtual CPU waits for its turn.
 */
#define HOLD_MS 20

void vf_to_vm_init(struct vf_to_vm *lane, uint16_t slice)
{
	*lane = (struct vf_to_vm){.lane = {.slice = slice, .n_slices = 1, .worker = -1}};
}

static void count_drop(struct burst_account *account, enum drop_reason reason, struct tally dropped)
{
	account->dropped[reason] = tally_add(account->dropped[reason], dropped);
}

static void publish(struct vf_to_vm *lane, struct burst_account *account)
{
	account->backlog = lane->backlog.total;
	counters_publish(&lane->lane.counters, account);
}

static void drop_waiting(
	struct vf_to_vm *lane, enum drop_reason reason, struct burst_account *account)
{
	for (uint32_t rest = lane->backlog.waiting; rest != 0; rest &= rest - 1)
		count_drop(account, reason, backlog_drop(&lane->backlog, __builtin_ctz(rest)));
}

void vf_to_vm_drain(struct vf_to_vm *lane)
{
	struct burst_account account = {0};

	drop_waiting(lane, DROP_DETACHED, &account);
	publish(lane, &account);
}

/*
 * Copies as many of these packets as the guest's ring takes. Returns how many are done with; they
 * are still ours. Takes none if another worker is using the same ring just now.
 */
static uint16_t give(struct vf_to_vm *lane, struct guest_session *session, unsigned queue,
	struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	struct ring *ring = &session->rings[GUEST_RECEIVE_RING(queue)];
	bool shared = lane->lane.n_slices > 1;

	if (shared && atomic_flag_test_and_set_explicit(&ring->giving, memory_order_acquire))
		return 0;
	uint16_t done = ring_give(ring, lane->stores.past_cache, packets, n, account);
	if (shared)
		atomic_flag_clear_explicit(&ring->giving, memory_order_release);
	if (unlikely(done < n))
		guest_check_ring(lane->lane.guest, session, GUEST_RECEIVE_RING(queue));
	return done;
}

static uint16_t budget(const struct vf_to_vm *lane)
{
	return backlog_budget(lane->lane.n_slices);
}

/*
 * Makes packets wait for their ring, and drops those for which the ring's share of the backlog has
 * no room.
 */
static void wait_for_ring(struct vf_to_vm *lane, unsigned queue, struct rte_mbuf **packets,
	uint16_t n, struct burst_account *account)
{
	struct tally *dropped = &account->dropped[DROP_QUEUE_FULL];
	const uint64_t before = dropped->packets;

	for (uint16_t i = 0; i < n; i++)
		if (unlikely(!backlog_append(&lane->backlog, queue, packets[i], budget(lane))))
			count_and_free(dropped, packets[i]);
	if (unlikely(dropped->packets != before))
		guest_count_dropped(
			lane->lane.guest, GUEST_RECEIVE_RING(queue), dropped->packets - before);
}

/*
 * Passes on packets that have just come; they queue behind those that already wait for the same
 * ring.
 */
static void deliver(struct vf_to_vm *lane, unsigned queue, struct guest_session *session,
	struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	uint16_t given = 0;

	if (likely(!(lane->backlog.waiting & 1u << queue))) {
		given = give(lane, session, queue, packets, n, account);
		rte_pktmbuf_free_bulk(packets, given);
		if (likely(given == n))
			return;
		lane->full_since[queue] = 0;
	}
	wait_for_ring(lane, queue, packets + given, n - given, account);
}

static void deliver_waiting(struct vf_to_vm *lane, unsigned queue, struct guest_session *session,
	struct burst_account *account)
{
	struct rte_mbuf *packets[LANE_BURST];
	uint16_t n = backlog_peek(&lane->backlog, queue, packets, LANE_BURST);

	n = give(lane, session, queue, packets, n, account);
	backlog_take(&lane->backlog, queue, n);
	rte_pktmbuf_free_bulk(packets, n);
}

/* True if no other buffers are to be looked at in this poll. */
static bool is_enough(const struct burst_account *account)
{
	return unlikely(account->descriptors >= RING_BURST_DESCRIPTORS);
}

static void deliver_all_waiting(
	struct vf_to_vm *lane, struct guest_session *session, struct burst_account *account)
{
	uint32_t rest = lane->backlog.waiting;

	while (rest != 0 && !is_enough(account)) {
		unsigned queue = queue_in_turn(rest, lane->next_ring);
		deliver_waiting(lane, queue, session, account);
		rest &= ~(1u << queue);
		lane->next_ring = (queue + 1) % QUEUE_PAIRS_MAX;
	}
}

/*
 * True while this ring holds back the device, because its share of the backlog has no room for
 * another burst. The whole burst could be for this ring, and its buffers then count twice: see
 * backlog.h.
 */
static bool holds_back(struct vf_to_vm *lane, unsigned queue)
{
	const uint16_t burst = 2 * LANE_BURST * lane->lane.vf->frame_buffers;
	uint64_t now = rte_rdtsc();

	if (!backlog_is_full(&lane->backlog, queue, budget(lane), burst))
		return false;
	if (lane->full_since[queue] == 0)
		lane->full_since[queue] = now;
	return now - lane->full_since[queue] < rte_get_tsc_hz() / 1000 * HOLD_MS;
}

/*
 * True while waiting packets hold back the device. If all rings are full, no other ring could
 * starve; but a bond's protocol could, whose packets come to light only when the device is read.
 */
static bool held_back(struct vf_to_vm *lane)
{
	if (lane->backlog.waiting == lane->steer.enabled && !lane->lane.vf->needs_polling)
		return true;
	for (uint32_t rest = lane->backlog.waiting; rest != 0; rest &= rest - 1)
		if (holds_back(lane, __builtin_ctz(rest)))
			return true;
	return false;
}

/* Gives each of these packets to the ring of its flow. */
static void distribute(struct vf_to_vm *lane, struct guest_session *session,
	struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	uint8_t queues[LANE_BURST];
	uint32_t rest = 0;

	for (uint16_t i = 0; i < n; i++) {
		queues[i] = steer_queue(&lane->steer, packets[i]);
		rest |= 1u << queues[i];
	}
	if (likely((rest & (rest - 1)) == 0)) { /* the device has sorted them */
		deliver(lane, queues[0], session, packets, n, account);
		return;
	}
	for (; rest != 0; rest &= rest - 1) {
		struct rte_mbuf *same[LANE_BURST];
		uint16_t n_same = 0;
		for (uint16_t i = 0; i < n; i++)
			if (queues[i] == __builtin_ctz(rest))
				same[n_same++] = packets[i];
		deliver(lane, __builtin_ctz(rest), session, same, n_same, account);
	}
}

/* The number of buffers of all enabled rings, which are of equal length. */
static uint32_t buffers(const struct guest_session *session, uint32_t enabled)
{
	const struct ring *first = &session->rings[GUEST_RECEIVE_RING(__builtin_ctz(enabled))];

	return (uint32_t)__builtin_popcount(enabled) * first->size;
}

/*
 * The guest has enabled other rings, or is another VM: packets that wait for rings no longer
 * enabled go to those that are.
 */
static void steer_again(struct vf_to_vm *lane, uint32_t enabled, struct guest_session *session,
	struct burst_account *account)
{
	uint32_t waiting = lane->backlog.waiting & ~enabled;
	struct rte_mbuf *packets[LANE_BURST];
	uint16_t n;

	steer_set(&lane->steer, enabled);
	stores_init(&lane->stores, buffers(session, enabled));
	for (; waiting != 0; waiting &= waiting - 1) {
		unsigned queue = __builtin_ctz(waiting);
		while ((n = backlog_peek(&lane->backlog, queue, packets, LANE_BURST)) > 0) {
			backlog_take(&lane->backlog, queue, n);
			distribute(lane, session, packets, n, account);
		}
	}
}

/*
 * True if the device has not checked the checksum, or a neighbour on this host has not computed it:
 * the guest would rely on it.
 */
static bool has_unfinished_checksum(const struct rte_mbuf *packet)
{
	return (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

/* Counts what has come and drops what the guest cannot take. Returns how many are left. */
static uint16_t admit(
	struct rte_mbuf **packets, uint16_t n, unsigned max_bytes, struct burst_account *account)
{
	static const struct offload_caps none;
	uint64_t bytes = 0;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *packet = packets[i];
		bytes += packet->pkt_len;
		packets[kept++] = packet;
		if (unlikely(packet->pkt_len > max_bytes))
			count_and_free(&account->dropped[DROP_OVERSIZE], packets[--kept]);
		else if (unlikely(has_unfinished_checksum(packet)) &&
			 !offload_prepare(packet, &none))
			count_and_free(&account->dropped[DROP_MALFORMED], packets[--kept]);
	}
	account->received.packets += n;
	account->received.bytes += bytes;
	return kept;
}

/* Reads a burst from one of the device's queues and passes it on. */
static void forward_queue(struct vf_to_vm *lane, uint16_t vf_queue, struct guest_session *session,
	struct burst_account *account)
{
	struct rte_mbuf *packets[LANE_BURST];

	uint16_t n = vf_receive(lane->lane.vf, vf_queue, packets, LANE_BURST);
	if (n == 0)
		return;
	lane_show(&lane->lane, packets, n);
	n = admit(packets, n, session->max_frame_bytes, account);
	if (unlikely(n == 0))
		return;
	if ((lane->steer.enabled & (lane->steer.enabled - 1)) == 0)
		deliver(lane, __builtin_ctz(lane->steer.enabled), session, packets, n, account);
	else
		distribute(lane, session, packets, n, account);
}

/* Without a VM the device is still read, so that the next VM does not get old packets. */
static unsigned discard(struct vf_to_vm *lane)
{
	struct burst_account account = {0};
	struct rte_mbuf *packets[LANE_BURST];

	drop_waiting(lane, DROP_NOT_CONNECTED, &account);
	lane->steer.enabled = 0;
	for (uint16_t q = lane->lane.slice; q < lane->lane.vf->n_queues; q += lane->lane.n_slices) {
		uint16_t n = vf_receive(lane->lane.vf, q, packets, LANE_BURST);
		struct tally received = packets_tally(packets, n);
		lane_show(&lane->lane, packets, n);
		rte_pktmbuf_free_bulk(packets, n);
		account.received = tally_add(account.received, received);
		count_drop(&account, DROP_NOT_CONNECTED, received);
	}
	if (account.dropped[DROP_NOT_CONNECTED].packets != 0)
		publish(lane, &account);
	return account.received.packets;
}

void vf_to_vm_prefetch(const struct vf_to_vm *lane, unsigned step)
{
	const struct vf *vf = lane->lane.vf;
	struct guest *guest = lane->lane.guest;
	const struct guest_session *session;

	switch (step) {
	case 0:
		rte_prefetch0(lane);
		rte_prefetch0(&lane->n_read);
		rte_prefetch0(&lane->backlog);
		break;
	case 1:
		rte_prefetch0(&vf->port);
		rte_prefetch0(guest);
		break;
	case 2:
		rte_prefetch0(&rte_eth_fp_ops[vf->port]);
		session = guest_session(guest);
		if (session != NULL)
			rte_prefetch0(&session->paused);
		break;
	case PREFETCH_STEPS - 1:
		rte_prefetch0(rte_eth_fp_ops[vf->port].rxq.data[lane->lane.slice]);
		break;
	}
}

unsigned vf_to_vm_poll(struct vf_to_vm *lane)
{
	struct burst_account account = {0};
	struct guest_session *session = guest_session(lane->lane.guest);

	if (unlikely(session != NULL && guest_session_paused(session)))
		return 0;
	uint32_t enabled = session == NULL ? 0
	                                   : atomic_load_explicit(&session->vf_to_vm_enabled,
						     memory_order_relaxed);
	if (enabled == 0)
		return discard(lane);
	const bool had_waiting = lane->backlog.waiting != 0, timed = stores_measure(&lane->stores);
	const uint64_t begin = timed ? rte_rdtsc() : 0;
	const unsigned number =
		atomic_load_explicit(&lane->lane.guest->n_sessions, memory_order_relaxed);
	if (unlikely(enabled != lane->steer.enabled || number != lane->session_number)) {
		lane->session_number = number;
		steer_again(lane, enabled, session, &account);
	}
	if (had_waiting)
		deliver_all_waiting(lane, session, &account);

	const uint16_t n_queues = lane->lane.vf->n_queues, stride = lane->lane.n_slices;
	uint16_t q = lane->lane.slice + lane->n_read * stride;
	for (uint16_t i = lane->lane.slice; i < n_queues && !held_back(lane); i += stride) {
		if (is_enough(&account) && !lane->lane.vf->needs_polling)
			break;
		if (q >= n_queues) {
			q = lane->lane.slice;
			lane->n_read = 0;
		}
		forward_queue(lane, q, session, &account);
		q += stride;
		lane->n_read++;
	}
	if (account.received.packets != 0 || had_waiting) {
		/*
		 * Precise: it waits until all stores are done, for which otherwise the next poll
		 * would wait.
		 */
		stores_note(&lane->stores, buffers(session, enabled), account.sent.packets,
			account.sent.bytes, lane->backlog.waiting != 0, begin,
			timed ? rte_rdtsc_precise() : 0);
		publish(lane, &account);
	}
	const unsigned moved = account.received.packets + account.sent.packets;
	if (is_enough(&account))
		return RTE_MAX(moved, MANY_MOVED);
	return moved > 0 ? moved : account.descriptors > 0;
}
