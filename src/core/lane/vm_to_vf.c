/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VM to VF: from the guest's transmit rings into one of the device's transmit queues.
 */

#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/lane/refusals.h"
#include "core/packet/offload.h"
#include "core/vf/packet_sockets.h"
#include "core/vf/port.h"
#include "core/vf/vf.h"

#define POLLS_OF_DISABLED 64 /* between two looks at rings that the guest has disabled */

void vm_to_vf_init(struct vm_to_vf *lane, uint16_t slice, struct rte_mempool *discard_pool)
{
	*lane = (struct vm_to_vf){
		.lane = {.slice = slice, .n_slices = 1, .worker = -1},
		.discard_pool = discard_pool,
	};
}

void vm_to_vf_drain(struct vm_to_vf *lane)
{
	struct burst_account account = {0};

	forget_segments(lane);
	lane->refused_for = 0;
	lane->to_push = false;
	account.dropped[DROP_DETACHED] = stash_drop(&lane->inbox, lane->inbox.n);
	counters_publish(&lane->lane.counters, &account);
}

/* Makes the driver free what the device has sent, if it does not do that by itself. */
static void reclaim(struct vm_to_vf *lane)
{
	if (lane->lender.n_out > 0 && lane->lane.vf != NULL &&
		lane->lane.vf->lending == LENDS_ASYNCHRONOUSLY)
		rte_eth_tx_done_cleanup(lane->lane.vf->port, lane->lane.slice, 0);
}

bool vm_to_vf_settle(struct vm_to_vf *lanes, unsigned n)
{
	const uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * LOANS_SETTLE_MS;
	bool sent = true;

	for (unsigned i = 0; i < n; i++) {
		while (lanes[i].lender.n_out > 0 && rte_rdtsc() < deadline)
			reclaim(&lanes[i]);
		sent &= lanes[i].lender.n_out == 0;
	}
	return sent;
}

static uint32_t rings_of_slice(const struct vm_to_vf *lane, uint32_t rings)
{
	uint32_t mask = 0;

	if (lane->lane.n_slices == 1)
		return rings;
	for (unsigned ring = lane->lane.slice; ring < QUEUE_PAIRS_MAX; ring += lane->lane.n_slices)
		mask |= rings & 1u << ring;
	return mask;
}

uint32_t vm_to_vf_rings(const struct vm_to_vf *lane, const struct guest_session *session)
{
	return rings_of_slice(
		lane, atomic_load_explicit(&session->vm_to_vf_enabled, memory_order_relaxed));
}

uint32_t vm_to_vf_disabled_rings(const struct vm_to_vf *lane, const struct guest_session *session)
{
	return rings_of_slice(
		lane, atomic_load_explicit(&session->vm_to_vf_disabled, memory_order_relaxed));
}

/* The session whose rings may be read now, or NULL. */
static struct guest_session *readable_session(const struct vm_to_vf *lane)
{
	struct guest_session *session = guest_session(lane->lane.guest);

	return session != NULL && !guest_session_paused(session) ? session : NULL;
}

bool vm_to_vf_is_vacant(const struct vm_to_vf *lane)
{
	return guest_session(lane->lane.guest) == NULL && lane->inbox.n == 0 &&
	       lane->lender.n_out == 0;
}

#define RARP_BYTES (sizeof(struct rte_ether_hdr) + sizeof(struct rte_arp_hdr))

/* Makes the announcement of the VM's new place, if one is due. Returns 1 or 0 packets. */
static uint16_t announce(const struct vm_to_vf *lane, struct guest_session *session,
	struct rte_mempool *pool, struct rte_mbuf **ret_packet, struct burst_account *account)
{
	struct rte_ether_addr address;

	if (likely(atomic_load_explicit(&session->announcement, memory_order_relaxed) == 0) ||
		lane->lane.slice != 0)
		return 0;
	uint64_t number = atomic_exchange(&session->announcement, 0);
	memcpy(&address, &number, sizeof(address));
	*ret_packet = rte_net_make_rarp_packet(pool, &address);
	if (*ret_packet == NULL) {
		atomic_store(&session->announcement, number); /* try again later */
		return 0;
	}
	/* DPDK's padding is what the buffer held before, perhaps of another VM. */
	rte_pktmbuf_trim(*ret_packet, (*ret_packet)->pkt_len - RARP_BYTES);
	offload_pad(*ret_packet);
	account->received = tally_add(account->received, packets_tally(ret_packet, 1));
	return 1;
}

static uint16_t take_from_ring(struct vm_to_vf *lane, struct guest_session *session, unsigned queue,
	struct rte_mempool *pool, struct lender *lender, struct rte_mbuf **packets, uint16_t n,
	struct burst_account *account)
{
	unsigned ring = GUEST_TRANSMIT_RING(queue);
	uint16_t taken = ring_take(&session->rings[ring], pool, lender, packets, n, account);

	if (taken == 0)
		guest_check_ring(lane->lane.guest, session, ring);
	return taken;
}

static const struct burst_account nothing;

/* True if no other ring is to be read since the account was `before`. */
static bool is_enough(const struct burst_account *account, const struct burst_account *before)
{
	return account->received.bytes - before->received.bytes >= RING_BURST_BYTES ||
	       account->descriptors - before->descriptors >= RING_BURST_DESCRIPTORS;
}

/*
 * Consumes and drops what the guest has left in rings that it has disabled, as vhost-user demands.
 */
static void empty_disabled_rings(struct vm_to_vf *lane, struct guest_session *session,
	struct rte_mempool *pool, struct burst_account *account)
{
	const struct burst_account before = *account;
	uint32_t rings = vm_to_vf_disabled_rings(lane, session);
	struct rte_mbuf *packets[LANE_BURST];
	uint16_t n = 0;

	for (; rings != 0 && n < LANE_BURST && !is_enough(account, &before); rings &= rings - 1)
		n += take_from_ring(lane, session, __builtin_ctz(rings), pool, NULL, packets + n,
			LANE_BURST - n, account);
	for (uint16_t i = 0; i < n; i++)
		count_and_free(&account->dropped[DROP_NOT_CONNECTED], packets[i]);
}

/* The lane's lender if its device can send from the VM's memory, or NULL. */
static struct lender *lender_for(struct vm_to_vf *lane, const struct guest_session *session)
{
	const struct vf *vf = lane->lane.vf;

	if (likely(vf == NULL || vf->lending == LENDS_NOTHING))
		return NULL;
	if (vf->lending == LENDS_ASYNCHRONOUSLY &&
		!atomic_load_explicit(&session->dma_mapped, memory_order_acquire))
		return NULL;
	lane->lender.chains = vf->chains;
	lane->lender.segments = vf->offloads.tso;
	lane->lender.max = vf->lend_max;
	return &lane->lender;
}

/*
 * Takes up to `n` packets of the VM into `packets`, with buffers from `pool`. The rings take turns
 * at being the first.
 */
static uint16_t take_from_guest(struct vm_to_vf *lane, struct guest_session *session,
	struct rte_mempool *pool, struct rte_mbuf **packets, uint16_t n,
	struct burst_account *account)
{
	if (session == NULL)
		return 0;
	uint16_t taken = announce(lane, session, pool, packets, account);
	uint32_t rings = vm_to_vf_rings(lane, session);
	struct lender *lender = lender_for(lane, session);
	unsigned left = __builtin_popcount(rings);
	for (; left > 0 && taken < n && !is_enough(account, &nothing); left--) {
		unsigned queue = queue_in_turn(rings, lane->next_ring);
		taken += take_from_ring(
			lane, session, queue, pool, lender, packets + taken, n - taken, account);
		lane->next_ring = (queue + 1) % QUEUE_PAIRS_MAX;
	}
	if (unlikely(lane->polls_left-- == 0)) {
		lane->polls_left = POLLS_OF_DISABLED - 1;
		empty_disabled_rings(lane, session, pool, account);
	}
	return taken;
}

/* True for an announcement (RARP) that any device can send as it is: it is not looked at again. */
static bool is_announcement(const struct rte_mbuf *packet)
{
	return packet->nb_segs == 1 && packet->pkt_len >= FRAME_BYTES_MIN &&
	       packet->pkt_len <= RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN &&
	       !offload_needed(packet) &&
	       rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *)->ether_type ==
	               RTE_BE16(RTE_ETHER_TYPE_RARP);
}

/*
 * Without a device, the VM's packets are consumed and dropped; otherwise its sockets would hang.
 * But the announcement of its new place after a migration (RARP) is made only once, so the last one
 * waits in the inbox for the device, as long as the VM is here.
 */
static unsigned discard(struct vm_to_vf *lane)
{
	struct stash *inbox = &lane->inbox;
	struct burst_account account = {0};
	struct tally *dropped = &account.dropped[DROP_NOT_CONNECTED];
	struct rte_mbuf *packets[LANE_BURST], *announcement = NULL;

	uint16_t n = take_from_guest(
		lane, readable_session(lane), lane->discard_pool, packets, LANE_BURST, &account);
	const bool is_over = inbox->n > 0 && guest_session(lane->lane.guest) == NULL;
	if (account.received.packets == 0 && !is_over)
		return 0;
	if (is_over)
		*dropped = tally_add(*dropped, stash_drop(inbox, inbox->n));
	lane_show(&lane->lane, packets, n);
	if (inbox->n > 0)
		announcement = *stash_oldest(inbox);
	for (uint16_t i = 0; i < n; i++) {
		if (!is_announcement(packets[i])) {
			count_and_free(dropped, packets[i]);
			continue;
		}
		if (announcement != NULL)
			count_and_free(dropped, announcement);
		announcement = packets[i];
	}
	if (announcement != NULL) {
		inbox->packets[0] = announcement;
		stash_fill(inbox, 1);
	}
	account.backlog = stash_tally(inbox);
	counters_publish(&lane->lane.counters, &account);
	return account.received.packets;
}

static bool is_lent(const struct rte_mbuf *packet)
{
	return RTE_MBUF_HAS_EXTBUF(packet) ||
	       (packet->nb_segs > 1 && RTE_MBUF_HAS_EXTBUF(packet->next));
}

/*
 * Copies a packet if it is lent, and frees the original. NULL if there is no room for a copy: the
 * packet is dropped.
 */
static struct rte_mbuf *copy_if_lent(
	struct vm_to_vf *lane, struct rte_mbuf *packet, struct burst_account *account)
{
	if (!is_lent(packet))
		return packet;
	struct rte_mbuf *copy = rte_pktmbuf_copy(packet, lane->lane.vf->pool, 0, UINT32_MAX);
	if (copy != NULL)
		rte_pktmbuf_free(packet);
	else
		count_and_free(&account->dropped[DROP_QUEUE_FULL], packet);
	return copy;
}

/*
 * Pads a packet that is too short for a frame: some devices stop at one, or send with it what lies
 * behind it. Such a packet is never lent, and counts as if it had come with its padding. False if
 * it has no Ethernet header.
 */
static bool lengthen(struct rte_mbuf *packet, struct burst_account *account)
{
	if (packet->pkt_len < RTE_ETHER_HDR_LEN)
		return false;
	if (!(packet->ol_flags & RTE_MBUF_F_RX_LRO)) /* else its segments are padded */
		account->received.bytes += offload_pad(packet);
	return true;
}

/*
 * Finishes what the guest has left to its device, and drops what cannot be sent. Notes whether any
 * packets left must be cut or prepared.
 */
static uint16_t prepare(
	struct vm_to_vf *lane, struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	const struct vf *vf = lane->lane.vf;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *packet = packets[i];
		if ((unlikely(offload_needed(packet)) && !offload_prepare(packet, &vf->offloads)) ||
			(unlikely(packet->pkt_len < FRAME_BYTES_MIN) &&
				!lengthen(packet, account))) {
			count_and_free(&account->dropped[DROP_MALFORMED], packet);
			continue;
		}
		if (unlikely(offload_frame_bytes(packet) > vf->max_frame_bytes)) {
			count_and_free(&account->dropped[DROP_OVERSIZE], packet);
			continue;
		}
		if (unlikely(packet->ol_flags & RTE_MBUF_F_RX_LRO)) {
			packet = copy_if_lent(lane, packet, account); /* it waits while it is cut */
			if (packet == NULL)
				continue;
			lane->to_cut = true;
		}
		/* Segments cut from a packet will ask as well. */
		lane->to_prepare |=
			vf->offloads.checksum &&
			(packet->ol_flags & (RTE_MBUF_F_TX_OFFLOAD_MASK | RTE_MBUF_F_RX_LRO)) != 0;
		packets[kept++] = packet;
	}
	return kept;
}

/* Notes who has sent a packet; if it is always the same one, the other lanes are not disturbed. */
static void note_source(struct guest_session *session, const struct rte_mbuf *packet)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	uint64_t source = 0;

	if (!rte_is_valid_assigned_ether_addr(&header->src_addr))
		return;
	memcpy(&source, &header->src_addr, sizeof(header->src_addr));
	if (atomic_load_explicit(&session->source, memory_order_relaxed) != source)
		atomic_store_explicit(&session->source, source, memory_order_relaxed);
}

/* Takes packets of the VM behind those that wait in the inbox, which has room. */
static void fill_inbox(struct vm_to_vf *lane, struct burst_account *account)
{
	struct stash *inbox = &lane->inbox;
	struct rte_mbuf **packets = stash_end(inbox);
	struct guest_session *session = readable_session(lane);

	if (inbox->n == 0)
		lane->to_cut = lane->to_prepare = false;
	uint16_t n = take_from_guest(
		lane, session, lane->lane.vf->pool, packets, LANE_BURST - inbox->n, account);
	n = prepare(lane, packets, n, account);
	if (unlikely(lane->lane.vf->announces) && n > 0)
		note_source(session, packets[n - 1]);
	lane_show(&lane->lane, packets, n);
	inbox->n += n;
}

/*
 * As rte_eth_tx_burst(). A bond of mode 6 sorts the packets of a burst, and then puts pointers of
 * no meaning in place of those that it has not sent, unless the burst is a single packet.
 */
static uint16_t send_burst(
	const struct vf *vf, uint16_t queue, struct rte_mbuf **packets, uint16_t n)
{
	uint16_t sent = 0;

	if (likely(!vf->sends_singly))
		return rte_eth_tx_burst(vf->port, queue, packets, n);
	while (sent < n && rte_eth_tx_burst(vf->port, queue, packets + sent, 1) == 1)
		sent++;
	return sent;
}

/*
 * Sends the `n` oldest packets of a stash; returns how many have left it. A packet whose offload
 * the driver refuses is dropped, because it would be refused for ever. In doubt only the oldest is
 * sent: a bond that takes others puts it behind them.
 */
static uint16_t transmit(
	struct vm_to_vf *lane, struct stash *stash, uint16_t n, struct tally *malformed)
{
	const uint16_t port = lane->lane.vf->port, queue = lane->lane.slice;

	if (refuses_for(lane, DOUBT_MS))
		n = 1;
	if (lane->to_prepare) {
		n = rte_eth_tx_prepare(port, queue, stash_oldest(stash), n);
		if (unlikely(n == 0)) {
			count_and_free(malformed, *stash_oldest(stash));
			stash_take(stash, 1);
			return 1;
		}
	}
	n = send_burst(lane->lane.vf, queue, stash_oldest(stash), n);
	if (unlikely(n == 0))
		note_refusal(lane);
	else
		lane->refused_for = 0;
	stash_take(stash, n);
	return n;
}

/*
 * Cuts the oldest packet of the inbox and sends a burst of its segments. True when all have been
 * sent.
 */
static bool cut_and_send(struct vm_to_vf *lane, struct burst_account *account)
{
	const struct vf *vf = lane->lane.vf;
	struct rte_mbuf *packet = *stash_oldest(&lane->inbox);
	struct tally refused = {0}; /* segments are not counted as packets of the guest */

	if (lane->segments.n == 0) {
		uint16_t n = gso_cut(&lane->gso, packet, vf->pool, vf->offloads.checksum,
			lane->segments.packets, LANE_BURST);
		for (uint16_t i = 0; i < n; i++)
			offload_pad(lane->segments.packets[i]);
		stash_fill(&lane->segments, n);
	}
	if (lane->segments.n > 0)
		account->segments += transmit(lane, &lane->segments, lane->segments.n, &refused);
	lane->segment_refused |= refused.packets > 0;
	if (lane->segments.n > 0 || !gso_done(&lane->gso, packet))
		return false;
	lane->gso = (struct gso){0};
	return true;
}

/*
 * Sends from an inbox with packets to be cut: first a run of whole packets, then a burst of
 * segments, with which the poll ends, so that one lane cannot keep the worker to itself.
 */
static void send_with_cutting(
	struct vm_to_vf *lane, struct tally *malformed, struct burst_account *account)
{
	struct stash *inbox = &lane->inbox;
	uint16_t run = 0;

	while (run < inbox->n && !(stash_oldest(inbox)[run]->ol_flags & RTE_MBUF_F_RX_LRO))
		run++;
	if (run > 0 && transmit(lane, inbox, run, malformed) < run)
		return;
	if (inbox->n == 0)
		return;
	struct rte_mbuf *packet = *stash_oldest(inbox);
	if (!cut_and_send(lane, account))
		return;
	stash_take(inbox, 1);
	if (unlikely(lane->segment_refused))
		count_and_free(malformed, packet);
	else
		rte_pktmbuf_free(packet);
	lane->segment_refused = false;
}

/* Sends from the inbox. What has left it then was sent, unless it was refused. */
static void send_inbox(struct vm_to_vf *lane, struct burst_account *account)
{
	struct stash *inbox = &lane->inbox;
	struct tally *malformed = &account->dropped[DROP_MALFORMED], refused = {0};
	struct tally before = stash_tally(inbox);

	if (likely(!lane->to_cut))
		transmit(lane, inbox, inbox->n, &refused);
	else
		send_with_cutting(lane, &refused, account);
	account->backlog = stash_tally(inbox);
	account->sent.packets = before.packets - account->backlog.packets - refused.packets;
	account->sent.bytes = before.bytes - account->backlog.bytes - refused.bytes;
	*malformed = tally_add(*malformed, refused);
}

/*
 * Copies lent packets that the device did not take: the VM's memory may be gone when it takes them.
 */
static void copy_inbox(struct vm_to_vf *lane, struct burst_account *account)
{
	struct stash *inbox = &lane->inbox;
	struct rte_mbuf **packets = stash_oldest(inbox);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < inbox->n; i++) {
		struct rte_mbuf *own = copy_if_lent(lane, packets[i], account);
		if (own != NULL)
			packets[kept++] = own;
	}
	inbox->n = kept;
	account->backlog = stash_tally(inbox);
}

/* Shows the VM what its rings hold, since they are not read again before the device takes more. */
static void show_held(const struct vm_to_vf *lane)
{
	struct guest_session *session = readable_session(lane);

	if (session == NULL)
		return;
	uint32_t rings = vm_to_vf_rings(lane, session) | vm_to_vf_disabled_rings(lane, session);
	for (; rings != 0; rings &= rings - 1)
		ring_show_held(&session->rings[GUEST_TRANSMIT_RING(__builtin_ctz(rings))]);
}

unsigned vm_to_vf_poll(struct vm_to_vf *lane)
{
	const struct vf *vf = lane->lane.vf;
	struct stash *inbox = &lane->inbox;
	struct burst_account account = {0};

	if (unlikely(vf == NULL))
		return discard(lane);
	reclaim(lane);
	if (inbox->n == 0 || (refuses_for(lane, DOUBT_MS) && inbox->n < LANE_BURST))
		fill_inbox(lane, &account);
	if (inbox->n > 0) {
		send_inbox(lane, &account);
		lane->to_push = lane->lane.slice < vf->n_sockets;
	} else if (account.received.packets == 0) {
		if (vf->needs_polling)
			rte_eth_tx_burst(vf->port, lane->lane.slice, NULL, 0);
		if (lane->to_push)
			lane->to_push = packet_sockets_push(vf->sockets[lane->lane.slice]);
		return 0;
	}
	if (unlikely(inbox->n > 0)) {
		show_held(lane);
		if (refuses_for(lane, DOUBT_MS))
			drop_refused(lane, &account);
		if (lane->lender.n_out > 0)
			copy_inbox(lane, &account);
	}
	counters_publish(&lane->lane.counters, &account);
	const unsigned moved = account.received.packets + account.sent.packets + account.segments;
	return unlikely(is_enough(&account, &nothing)) ? RTE_MAX(moved, MANY_MOVED) : moved;
}
