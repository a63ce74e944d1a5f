/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf_counters.h"

#include <assert.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "core/vf/port.h"
#include "core/vf/vf.h"

static_assert(SLICES_MAX <= RTE_ETHDEV_QUEUE_STAT_CNTRS, "every queue has its counters");

void vf_read_counters(struct vf *vf)
{
	struct device_counters *counters = &vf->counters;
	struct rte_eth_stats stats;
	unsigned n_up, n = port_links(vf->port, vf->bond, &n_up);

	*counters = (struct device_counters){
		.n_queues = vf->n_queues,
		.members = {[MEMBER_UP] = n_up,
			[MEMBER_DOWN] = n - n_up,
			[MEMBER_AWAY] = vf->n_members - n},
		.pool_packets = vf->pool->size,
		.pool_free = rte_mempool_avail_count(vf->pool),
	};
	if (rte_eth_stats_get(vf->port, &stats) != 0)
		return;
	counters->answered = true;
	counters->missed = stats.imissed;
	counters->no_buffer = stats.rx_nombuf;
	counters->receive_errors = stats.ierrors;
	counters->transmit_errors = stats.oerrors;
	for (unsigned q = 0; q < vf->n_queues; q++) {
		counters->queue_received[q] = stats.q_ipackets[q];
		counters->queue_sent[q] = stats.q_opackets[q];
	}
}
