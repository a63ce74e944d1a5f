/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf_counters.h"

#include <assert.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "core/vf.h"

static_assert(VF_QUEUES_MAX <= DEVICE_QUEUES_MAX && VF_QUEUES_MAX <= RTE_ETHDEV_QUEUE_STAT_CNTRS,
	"every queue has its counters");

void vf_read_counters(const struct vf *vf, struct device_counters *ret_counters)
{
	struct rte_eth_stats stats;

	*ret_counters = (struct device_counters){
		.n_queues = vf->n_queues,
		.pool_packets = vf->pool->size,
		.pool_free = rte_mempool_avail_count(vf->pool),
	};
	if (rte_eth_stats_get(vf->port, &stats) != 0)
		return;
	ret_counters->missed = stats.imissed;
	ret_counters->no_buffer = stats.rx_nombuf;
	ret_counters->receive_errors = stats.ierrors;
	ret_counters->transmit_errors = stats.oerrors;
	for (unsigned q = 0; q < vf->n_queues; q++) {
		ret_counters->queue_received[q] = stats.q_ipackets[q];
		ret_counters->queue_sent[q] = stats.q_opackets[q];
	}
}
