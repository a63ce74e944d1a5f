/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Devices that refuse packets, and what becomes of these; the theory is in lane.h. A part of
 * vm_to_vf.c, which alone includes it, so that the compiler sees all of a poll at once.
 */

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "core/lane/lane.h"
#include "core/vf/port.h"
#include "core/vf/vf.h"

static void forget_segments(struct vm_to_vf *lane)
{
	stash_drop(&lane->segments, lane->segments.n);
	lane->gso = (struct gso){0};
	lane->segment_refused = false;
}

#define DOUBT_MS 1000       /* a device that takes nothing for so long may refuse a packet, */
#define STANDSTILL_MS 10000 /* or, for so long, all of them */
#define REFUSED_STEP_MS 50  /* between two polls at most: a worker may be stopped meanwhile */

/* True if the device has taken nothing of what it was offered in order for so long. */
static bool refuses_for(const struct vm_to_vf *lane, unsigned ms)
{
	return unlikely(lane->refused_for > 0) && lane->refused_for >= rte_get_tsc_hz() / 1000 * ms;
}

/* The device was offered packets and took none. That of AF_PACKET does so only if it is full. */
static void note_refusal(struct vm_to_vf *lane)
{
	const uint64_t now = rte_rdtsc(), most = rte_get_tsc_hz() / 1000 * REFUSED_STEP_MS;

	if (lane->lane.vf->n_sockets > 0)
		return;
	if (lane->refused_for == 0)
		lane->n_passed = 0;
	lane->refused_for += RTE_MIN(now - lane->refused_at, most);
	lane->refused_at = now;
}

/*
 * The descriptors that the packet which the device does not take needs: a driver also refuses one
 * for which it has too few. An offload may take one more.
 */
static uint32_t descriptors_needed(struct vm_to_vf *lane)
{
	const struct rte_mbuf *packet =
		*stash_oldest(lane->segments.n > 0 ? &lane->segments : &lane->inbox);

	return packet->nb_segs + ((packet->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK) != 0 ? 1 : 0);
}

/*
 * Offers the device a packet from behind the oldest, each time another one, and adds up the
 * descriptors that it takes; if it refuses one, what it took before is no proof of room any more.
 */
static void offer_another(struct vm_to_vf *lane, struct burst_account *account)
{
	const uint16_t port = lane->lane.vf->port, queue = lane->lane.slice;
	struct stash *inbox = &lane->inbox;

	if (inbox->n < 2)
		return;
	uint16_t i = 1 + lane->n_offers++ % (inbox->n - 1);
	struct rte_mbuf **packet = stash_oldest(inbox) + i;
	struct tally tally = packets_tally(packet, 1);
	uint32_t n_segments = (*packet)->nb_segs;
	if ((*packet)->ol_flags & RTE_MBUF_F_RX_LRO) /* to be cut, which is for the oldest only */
		return;
	if (lane->to_prepare && rte_eth_tx_prepare(port, queue, packet, 1) == 0)
		return;
	if (rte_eth_tx_burst(port, queue, packet, 1) == 0) {
		lane->n_passed = 0;
		return;
	}
	lane->n_passed += n_segments;
	memmove(packet, packet + 1, (inbox->n - i - 1) * sizeof(*packet));
	inbox->n--;
	account->sent = tally_add(account->sent, tally);
}

/*
 * Drops what the device will never take: the oldest packet if it takes as much behind that instead,
 * or all if it takes nothing for long although its link is up.
 */
static void drop_refused(struct vm_to_vf *lane, struct burst_account *account)
{
	const struct vf *vf = lane->lane.vf;
	struct tally *malformed = &account->dropped[DROP_MALFORMED];
	struct stash *inbox = &lane->inbox;
	uint16_t n = 0;

	if (lane->n_passed >=
		descriptors_needed(lane)) { /* it had room, and still refuses the oldest */
		n = 1;
		lane->n_passed = 0;
		lane->refused_for = rte_get_tsc_hz() / 1000 * DOUBT_MS; /* the next is in doubt */
	} else if (refuses_for(lane, STANDSTILL_MS)) {
		n = port_is_up(vf->port, vf->bond) ? inbox->n : 0;
		lane->refused_for = 0;
	} else {
		offer_another(lane, account);
	}
	if (n > 0) {
		forget_segments(lane);
		*malformed = tally_add(*malformed, stash_drop(inbox, n));
		atomic_fetch_add_explicit(&lane->n_refused, n, memory_order_relaxed);
	}
	if (inbox->n == 0)
		lane->refused_for = 0;
	account->backlog = stash_tally(inbox);
}
