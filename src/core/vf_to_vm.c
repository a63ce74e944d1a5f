/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VF to VM: from the device's receive queues into the guest's receive rings.
 */

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_vhost.h>

#include "core/guest.h"
#include "core/lane.h"
#include "core/vf.h"

/* How long one full ring of several may hold back the device, until it has been empty again. */
#define HOLD_US 1000

/*
 * A guest without mergeable buffers may have smaller ones than it said; a frame longer than any
 * driver must take (RFC 894) that cannot be delivered for this long gives way to the next.
 */
#define STUCK_MS 10

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
	for (uint32_t rest = lane->waiting; rest != 0; rest &= rest - 1)
		account->backlog = tally_add(
			account->backlog, stash_tally(&lane->outbox[__builtin_ctz(rest)]));
	counters_publish(&lane->lane.counters, account);
}

static void drop_waiting(
	struct vf_to_vm *lane, enum drop_reason reason, struct burst_account *account)
{
	for (uint32_t rest = lane->waiting; rest != 0; rest &= rest - 1) {
		struct stash *outbox = &lane->outbox[__builtin_ctz(rest)];
		count_drop(account, reason, stash_drop(outbox, outbox->n));
	}
	lane->waiting = 0;
}

void vf_to_vm_drain(struct vf_to_vm *lane)
{
	struct burst_account account = {0};

	drop_waiting(lane, DROP_DETACHED, &account);
	publish(lane, &account);
}

/* True when the oldest packet has been refused for too long to be a matter of a full ring. */
static bool oldest_never_fits(const struct vf_to_vm *lane, unsigned queue,
	const struct guest_session *session, uint64_t now)
{
	const struct stash *outbox = &lane->outbox[queue];

	if (session->features & 1ULL << VIRTIO_NET_F_MRG_RXBUF ||
		outbox->packets[outbox->head]->pkt_len <= RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN)
		return false;
	return now - lane->waiting_since[queue] > rte_get_tsc_hz() / 1000 * STUCK_MS;
}

/*
 * False where the guest claims more buffers than its ring has descriptors. The library would
 * believe it, and with mergeable buffers note more of them in one burst than it has reserved room
 * for (seen in 22.11). Between this look and the library's own the guest could still cheat: the
 * library has to be mended as well, see docs/security.md.
 */
static bool ring_is_sound(const struct guest_session *session, unsigned queue)
{
	const uint64_t packed = 1ULL << VIRTIO_F_RING_PACKED,
		       mergeable = 1ULL << VIRTIO_NET_F_MRG_RXBUF;

	if ((session->features & (packed | mergeable)) != mergeable)
		return true;
	return rte_vhost_avail_entries(session->vid, GUEST_RECEIVE_RING(queue)) <=
	       atomic_load_explicit(&session->receive_ring_size[queue], memory_order_relaxed);
}

/* Gives the guest what its ring takes of an outbox. */
static void deliver(struct vf_to_vm *lane, unsigned queue, const struct guest_session *session,
	struct burst_account *account)
{
	struct stash *outbox = &lane->outbox[queue];
	uint32_t bit = 1u << queue;

	uint16_t n = 0;
	if (likely(ring_is_sound(session, queue)))
		n = rte_vhost_enqueue_burst(
			session->vid, GUEST_RECEIVE_RING(queue), stash_oldest(outbox), outbox->n);
	/* Copied into the guest's buffers; the packets themselves are still ours. */
	account->sent = tally_add(account->sent, stash_drop(outbox, n));
	if (likely(outbox->n == 0)) {
		lane->waiting &= ~bit;
		return;
	}

	uint64_t now = rte_rdtsc();
	if (!(lane->waiting & bit)) {
		lane->waiting |= bit;
		lane->waiting_since[queue] = now;
	} else if (n == 0 && oldest_never_fits(lane, queue, session, now)) {
		count_drop(account, DROP_OVERSIZE, stash_drop(outbox, 1));
		lane->waiting_since[queue] = now;
		if (outbox->n == 0)
			lane->waiting &= ~bit;
	}
}

static void deliver_waiting(
	struct vf_to_vm *lane, const struct guest_session *session, struct burst_account *account)
{
	for (uint32_t rest = lane->waiting; rest != 0; rest &= rest - 1)
		deliver(lane, __builtin_ctz(rest), session, account);
}

/* True while an outbox that waits may still hold back the device. */
static bool held_back(const struct vf_to_vm *lane)
{
	if (lane->waiting == 0)
		return false;
	if (lane->steer.enabled == lane->waiting)
		return true; /* nobody else is there to starve */

	uint64_t now = rte_rdtsc(), limit = rte_get_tsc_hz() / 1000000 * HOLD_US;
	for (uint32_t rest = lane->waiting; rest != 0; rest &= rest - 1)
		if (now - lane->waiting_since[__builtin_ctz(rest)] < limit)
			return true;
	return false;
}

/* Puts a packet into its ring's outbox, or drops it where that is full. */
static void steer_one(struct vf_to_vm *lane, struct rte_mbuf *packet, struct burst_account *account)
{
	struct stash *outbox = &lane->outbox[steer_queue(&lane->steer, packet)];

	if (likely(stash_append(outbox, packet)))
		return;
	count_and_free(&account->dropped[DROP_QUEUE_FULL], packet);
}

static void deliver_all(
	struct vf_to_vm *lane, const struct guest_session *session, struct burst_account *account)
{
	for (uint32_t rest = lane->steer.enabled; rest != 0; rest &= rest - 1)
		if (lane->outbox[__builtin_ctz(rest)].n > 0)
			deliver(lane, __builtin_ctz(rest), session, account);
}

/* The guest has enabled other rings: what waits for the ones that were goes to those that are. */
static void steer_again(struct vf_to_vm *lane, uint32_t enabled,
	const struct guest_session *session, struct burst_account *account)
{
	uint32_t waiting = lane->waiting & ~enabled;

	steer_set(&lane->steer, enabled);
	lane->waiting &= enabled;
	for (uint32_t rest = waiting; rest != 0; rest &= rest - 1) {
		struct stash *from = &lane->outbox[__builtin_ctz(rest)];
		for (; from->n > 0; stash_take(from, 1))
			steer_one(lane, *stash_oldest(from), account);
	}
	deliver_all(lane, session, account);
}

/* Reads one of the device's queues and passes it on. Returns the packets read. */
static uint16_t forward_queue(struct vf_to_vm *lane, uint16_t vf_queue,
	const struct guest_session *session, struct burst_account *account)
{
	bool single = (lane->steer.enabled & (lane->steer.enabled - 1)) == 0;
	struct rte_mbuf *burst[LANE_BURST];
	struct stash *only = &lane->outbox[lane->steer.queue_of_bucket[0]];
	struct rte_mbuf **packets = single ? only->packets : burst;

	uint16_t n = rte_eth_rx_burst(lane->lane.vf->port, vf_queue, packets, LANE_BURST);
	if (n == 0)
		return 0;
	account->received = tally_add(account->received, packets_tally(packets, n));
	uint16_t kept =
		drop_longer(packets, n, session->max_frame_bytes, &account->dropped[DROP_OVERSIZE]);
	if (single)
		stash_fill(only, kept);
	else
		for (uint16_t i = 0; i < kept; i++)
			steer_one(lane, packets[i], account);
	deliver_all(lane, session, account);
	return n;
}

/* Without a VM the device is read all the same, so that the next one does not get old packets. */
static unsigned discard(struct vf_to_vm *lane)
{
	struct burst_account account = {0};
	struct rte_mbuf *packets[LANE_BURST];

	drop_waiting(lane, DROP_NOT_CONNECTED, &account);
	for (uint16_t q = lane->lane.slice; q < lane->lane.vf->n_queues; q += lane->lane.n_slices) {
		uint16_t n = rte_eth_rx_burst(lane->lane.vf->port, q, packets, LANE_BURST);
		struct tally received = packets_tally(packets, n);
		rte_pktmbuf_free_bulk(packets, n);
		account.received = tally_add(account.received, received);
		count_drop(&account, DROP_NOT_CONNECTED, received);
	}
	if (account.dropped[DROP_NOT_CONNECTED].packets != 0)
		publish(lane, &account);
	return account.received.packets;
}

unsigned vf_to_vm_poll(struct vf_to_vm *lane)
{
	struct burst_account account = {0};
	struct guest_session *session =
		lane->lane.guest != NULL ? guest_session(lane->lane.guest) : NULL;
	uint32_t enabled = session == NULL ? 0
	                                   : atomic_load_explicit(&session->vf_to_vm_enabled,
						     memory_order_relaxed);

	if (enabled == 0)
		return discard(lane);
	bool had_waiting = lane->waiting != 0;
	if (enabled != lane->steer.enabled)
		steer_again(lane, enabled, session, &account);
	else if (had_waiting)
		deliver_waiting(lane, session, &account);

	const uint16_t n_queues = lane->lane.vf->n_queues, stride = lane->lane.n_slices;
	uint16_t q = lane->next_queue;
	for (uint16_t i = lane->lane.slice; i < n_queues && !held_back(lane); i += stride) {
		if (q >= n_queues)
			q = lane->lane.slice;
		forward_queue(lane, q, session, &account);
		q += stride;
	}
	lane->next_queue = q;
	if (account.received.packets != 0 || had_waiting)
		publish(lane, &account);
	return account.received.packets + account.sent.packets;
}
