/* SPDX-License-Identifier: BSD-3-Clause */

/* The packet pool of a device, and how it is moved to another NUMA node. */

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <string.h>

#include "core/dpdk/hugepages.h"
#include "core/dpdk/pool.h"
#include "core/vf/port.h"
#include "core/vf/vf.h"
#include "core/vf/vf_configure.h"

bool vf_pool_can_move(const struct vf *vf, int numa_node)
{
	return numa_node >= 0 && vf->pool_node >= 0 && vf->pool_node != numa_node &&
	       hugepages_node(numa_node) == numa_node &&
	       /* its driver closes the sockets when it is stopped, and opens no others */
	       !port_is_driven_by(vf->port, vf->bond, "net_af_packet");
}

/* Makes the device, which is stopped, receive into `pool`, and starts it. */
static int receive_into(struct vf *vf, struct rte_mempool *pool, int numa_node)
{
	int r = 0;

	for (uint16_t q = 0; q < vf->n_queues && r == 0; q++)
		r = rte_eth_rx_queue_setup(vf->port, q, vf->ring_rx, numa_node, NULL, pool);
	return r == 0 ? rte_eth_dev_start(vf->port) : r;
}

/* Creates a pool of the same size on another node. */
static int copy_pool(const struct rte_mempool *pool, int numa_node, struct rte_mempool **ret_pool,
	struct err *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	size_t length = strcspn(pool->name, "@");

	/* Two exist at a time: the '@' tells their names apart. */
	snprintf(name, sizeof(name), "%.*s%s", (int)length, pool->name,
		pool->name[length] == '@' ? "" : "@");
	return pool_create(ret_pool, name, pool->size,
		rte_pktmbuf_data_room_size((struct rte_mempool *)pool) - RTE_PKTMBUF_HEADROOM,
		POOL_CACHE, numa_node, err);
}

/* Restarts the device with `pool` instead of its own; as vf_move_pool(). */
static int restart_with(struct vf *vf, struct rte_mempool *pool, int numa_node, struct err *err)
{
	int r = rte_eth_dev_stop(vf->port);

	if (r != 0) {
		vf_refused(err, r, vf, "stopped", "");
		return 0;
	}
	r = receive_into(vf, pool, numa_node);
	if (r == 0)
		return 1;
	rte_eth_dev_stop(vf->port);
	vf_refused(err, r, vf, "given another packet pool", "");
	r = receive_into(vf, vf->pool, vf->pool_node);
	return r == 0 ? 0 : vf_refused(err, r, vf, "started again", "");
}

void vf_flush_cache(struct vf *vf, unsigned lcore)
{
	pool_flush(vf->pool, lcore);
	if (vf->old_pool != NULL)
		pool_flush(vf->old_pool, lcore);
}

int vf_move_pool(struct vf *vf, int numa_node, struct err *err)
{
	struct rte_mempool *pool;

	if (vf->old_pool != NULL && rte_mempool_in_use_count(vf->old_pool) != 0) {
		err_set(err, EBUSY,
			"device %s: packets of the pool before the present one are still under way",
			vf->name);
		return 0;
	}
	pool_destroy(vf->old_pool);
	vf->old_pool = NULL;
	int r = copy_pool(vf->pool, numa_node, &pool, err);
	if (r < 0) {
		err_prefix(
			err, r, "device %s: no packet pool on NUMA node %d", vf->name, numa_node);
		return 0;
	}
	r = restart_with(vf, pool, numa_node, err);
	if (r <= 0) {
		pool_destroy(pool);
		return r;
	}
	vf->old_pool = vf->pool;
	vf->pool = pool;
	vf->pool_node = numa_node;
	return 1;
}
