/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf_receive.h"

#include <rte_eth_bond.h>

#include "base/limits.h"
#include "core/dpdk/dpdk_compat.h"
#include "core/packet/packets.h"

#define READS 64 /* of the member that is heard, between two of the others */

/* Frees a burst that a member has received; returns how many packets it had. */
static uint16_t discard(uint16_t member, uint16_t queue)
{
	struct rte_mbuf *packets[LANE_BURST];
	uint16_t n = rte_eth_rx_burst(member, queue, packets, LANE_BURST);

	rte_pktmbuf_free_bulk(packets, n);
	return n;
}

/* Returns true if there may be more. */
static bool discard_from_others(const struct vf *vf, uint16_t queue, uint16_t heard)
{
	uint16_t members[BOND_MEMBERS_MAX];
	bool more = false;

	int n = rte_eth_bond_members_get(vf->port, members, BOND_MEMBERS_MAX);
	for (int i = 0; i < n; i++)
		if (members[i] != heard)
			more |= discard(members[i], queue) == LANE_BURST;
	return more;
}

/* Frees what a member holds, and not all that comes meanwhile. */
static void empty(const struct vf *vf, uint16_t member, uint16_t queue)
{
	for (unsigned n = 0; n < vf->ring_rx; n += LANE_BURST)
		if (discard(member, queue) == 0)
			return;
}

uint16_t vf_receive_from_one(
	struct vf *vf, uint16_t queue, struct rte_mbuf **ret_packets, uint16_t n)
{
	struct vf_heard *heard = &vf->heard[queue];
	const int member = rte_eth_bond_primary_get(vf->port);

	if (unlikely(member < 0)) /* it has none at all */
		return 0;
	if (unlikely(member != heard->member)) {
		empty(vf, member, queue);
		heard->member = member;
	}
	if (unlikely(heard->reads_left-- == 0))
		heard->reads_left = discard_from_others(vf, queue, member) ? 0 : READS - 1;
	return rte_eth_rx_burst(member, queue, ret_packets, n);
}
