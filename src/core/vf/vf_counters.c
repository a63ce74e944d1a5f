/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf_counters.h"

#include <assert.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "core/vf/port.h"
#include "core/vf/vf.h"

static_assert(SLICES_MAX <= RTE_ETHDEV_QUEUE_STAT_CNTRS, "every queue has its counters");

/*
 * Sets a counter to what it is now, plus what has gone with members of the bond: the bond adds up
 * those that are there.
 */
static void count(uint64_t *counter, uint64_t *gone, uint64_t now)
{
	if (now + *gone < *counter)
		*gone = *counter - now;
	*counter = now + *gone;
}

void vf_keep_counters(struct vf *vf, uint16_t member)
{
	struct device_counters *gone = &vf->gone;
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(member, &stats) == 0) {
		gone->missed += stats.imissed;
		gone->no_buffer += stats.rx_nombuf;
		gone->receive_errors += stats.ierrors;
		gone->transmit_errors += stats.oerrors;
		for (unsigned q = 0; q < vf->n_queues; q++) {
			gone->queue_received[q] += stats.q_ipackets[q];
			gone->queue_sent[q] += stats.q_opackets[q];
		}
	}
	vf_read_counters(vf); /* what it did not tell shows while the others have not gone on yet */
}

void vf_read_counters(struct vf *vf)
{
	struct device_counters *counters = &vf->counters, *gone = &vf->gone;
	struct rte_eth_stats stats;
	unsigned n_up, n = port_links(vf->port, vf->bond, &n_up);

	counters->n_queues = vf->n_queues;
	counters->members[MEMBER_UP] = n_up;
	counters->members[MEMBER_DOWN] = n - n_up;
	counters->members[MEMBER_AWAY] = vf->n_members - n;
	counters->pool_packets = vf->pool->size;
	counters->pool_free = rte_mempool_avail_count(vf->pool);
	counters->answered = rte_eth_stats_get(vf->port, &stats) == 0;
	if (!counters->answered)
		return;
	count(&counters->missed, &gone->missed, stats.imissed);
	count(&counters->no_buffer, &gone->no_buffer, stats.rx_nombuf);
	count(&counters->receive_errors, &gone->receive_errors, stats.ierrors);
	count(&counters->transmit_errors, &gone->transmit_errors, stats.oerrors);
	for (unsigned q = 0; q < vf->n_queues; q++) {
		count(&counters->queue_received[q], &gone->queue_received[q], stats.q_ipackets[q]);
		count(&counters->queue_sent[q], &gone->queue_sent[q], stats.q_opackets[q]);
	}
}
