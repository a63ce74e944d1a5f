/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VM to VF: from the guest's transmit rings into the device's transmit queue.
 */

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_vhost.h>
#include <stdbool.h>

#include "core/guest.h"
#include "core/lane.h"
#include "core/vf.h"

/* Takes up to `n` packets of the VM into `packets`, as copies from `pool`. */
static uint16_t receive(
	struct lane *lane, struct rte_mempool *pool, struct rte_mbuf **packets, uint16_t n)
{
	struct guest_session *session = lane->guest != NULL ? guest_session(lane->guest) : NULL;

	if (session == NULL)
		return 0;
	return rte_vhost_dequeue_burst(session->vid, GUEST_TRANSMIT_RING(0), pool, packets, n);
}

static bool is_announcement(const struct rte_mbuf *packet)
{
	return rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *)->ether_type ==
	       RTE_BE16(RTE_ETHER_TYPE_RARP);
}

/*
 * With no device to send to, the VM's packets are consumed and dropped, or its sockets would hang.
 * But the announcement of its new place after a migration (RARP) is made only once, so the last one
 * waits in the stash for the device.
 */
static unsigned discard(struct lane *lane)
{
	struct stash *stash = &lane->stash;
	struct burst_account account = {0};
	struct rte_mbuf *packets[LANE_BURST], *announcement = NULL;

	uint16_t n = receive(lane, lane->discard_pool, packets, LANE_BURST);
	if (n == 0)
		return 0;
	account.received = packets_tally(packets, n);
	if (stash->n > 0) {
		announcement = *stash_oldest(stash);
		stash_take(stash, 1);
	}
	struct tally dropped = {0};
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *unwanted = packets[i];
		if (is_announcement(packets[i])) {
			unwanted = announcement;
			announcement = packets[i];
		}
		if (unwanted == NULL)
			continue;
		dropped.packets++;
		dropped.bytes += unwanted->pkt_len;
		rte_pktmbuf_free(unwanted);
	}
	if (announcement != NULL) {
		stash->packets[0] = announcement;
		stash_fill(stash, 1);
	}
	account.dropped[DROP_NOT_CONNECTED] = dropped;
	account.backlog = stash_tally(stash);
	counters_publish(&lane->counters, &account);
	return n;
}

unsigned vm_to_vf_poll(struct lane *lane)
{
	struct stash *stash = &lane->stash;
	struct burst_account account = {0};

	if (unlikely(lane->vf == NULL))
		return discard(lane);
	if (stash->n == 0) {
		uint16_t n = receive(lane, lane->vf->pool, stash->packets, LANE_BURST);
		if (n == 0) {
			if (lane->vf->needs_polling)
				rte_eth_tx_burst(lane->vf->port, 0, NULL, 0);
			return 0;
		}
		stash_fill(stash, n);
		account.received = stash_tally(stash);
		account.dropped[DROP_OVERSIZE] =
			stash_drop_longer(stash, lane->vf->max_frame_bytes);
	}

	/* The bytes are summed before: what was sent is the device's. */
	struct tally before = stash_tally(stash);
	stash_take(stash, rte_eth_tx_burst(lane->vf->port, 0, stash_oldest(stash), stash->n));
	account.backlog = stash_tally(stash);
	account.sent.packets = before.packets - account.backlog.packets;
	account.sent.bytes = before.bytes - account.backlog.bytes;
	counters_publish(&lane->counters, &account);
	return account.received.packets + account.sent.packets;
}
