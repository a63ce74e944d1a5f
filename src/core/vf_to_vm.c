/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VF to VM: from the device's receive queue into the guest's receive rings.
 */

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_vhost.h>

#include "core/guest.h"
#include "core/lane.h"
#include "core/vf.h"

/*
 * A guest without mergeable buffers may have smaller ones than it said; a frame longer than any
 * driver must take (RFC 894) that cannot be delivered for this long gives way to the next.
 */
#define STUCK_MS 10

/* True when the oldest packet has been refused for too long to be a matter of a full ring. */
static bool oldest_never_fits(struct lane *lane, const struct guest_session *session)
{
	if (session->features & 1ULL << VIRTIO_NET_F_MRG_RXBUF ||
		stash_oldest(&lane->stash)[0]->pkt_len <= RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN)
		return false;
	if (lane->stuck_since == 0) {
		lane->stuck_since = rte_rdtsc();
		return false;
	}
	return rte_rdtsc() - lane->stuck_since > rte_get_tsc_hz() / 1000 * STUCK_MS;
}

static void deliver(
	struct lane *lane, const struct guest_session *session, struct burst_account *account)
{
	struct stash *stash = &lane->stash;

	uint16_t n = rte_vhost_enqueue_burst(
		session->vid, GUEST_RECEIVE_RING(0), stash_oldest(stash), stash->n);
	if (n > 0) {
		/* Copied into the guest's buffers; the packets themselves are still ours. */
		account->sent = stash_drop(stash, n);
		lane->stuck_since = 0;
	} else if (oldest_never_fits(lane, session)) {
		account->dropped[DROP_OVERSIZE] = stash_drop(stash, 1);
		lane->stuck_since = 0;
	}
}

unsigned vf_to_vm_poll(struct lane *lane)
{
	struct stash *stash = &lane->stash;
	struct burst_account account = {0};

	if (stash->n == 0) {
		uint16_t n = rte_eth_rx_burst(lane->vf->port, 0, stash->packets, LANE_BURST);
		if (n == 0)
			return 0;
		stash_fill(stash, n);
		account.received = stash_tally(stash);
	}

	struct guest_session *session = lane->guest != NULL ? guest_session(lane->guest) : NULL;
	if (session == NULL ||
		!(atomic_load_explicit(&session->vf_to_vm_enabled, memory_order_relaxed) & 1)) {
		account.dropped[DROP_NOT_CONNECTED] = stash_drop(stash, stash->n);
	} else {
		if (account.received.packets != 0)
			account.dropped[DROP_OVERSIZE] =
				stash_drop_longer(stash, session->max_frame_bytes);
		if (stash->n > 0)
			deliver(lane, session, &account);
	}
	account.backlog = stash_tally(stash);
	counters_publish(&lane->counters, &account);
	return account.received.packets + account.sent.packets;
}
