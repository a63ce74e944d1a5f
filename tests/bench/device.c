/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The VF of the benchmark: a library to preload into any relay that uses DPDK's shared libraries.
 *
 * It replaces the packet functions of net_null devices. What such a device receives and sends is
 * then controlled by the load files (load.h): paced, of mixed sizes and with probes. The relay does
 * not notice, and the cost is the same in all relays. If our daemon is linked with DPDK statically,
 * this is linked into a copy of it (--wrap).
 *
 * The files are $BENCH_VF_TO_VM and $BENCH_VM_TO_VF; $BENCH_QUEUES is the number of queues of a
 * device.
 */

#include <dlfcn.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct rx_queue {
	struct load_source source;
	struct rte_mempool *pool;
	unsigned number;
};

struct tx_queue {
	struct load *load;
	unsigned slot;
};

struct device {
	unsigned number; /* number among the benchmark's devices */
	struct rx_queue rx[LOAD_QUEUES];
	struct tx_queue tx[LOAD_QUEUES];
	void *rx_data[LOAD_QUEUES];
	void *tx_data[LOAD_QUEUES];
};

/* Global, since DPDK's functions have no argument through which to reach these. */
static struct load *vf_to_vm, *vm_to_vf;
static unsigned n_queues; /* of each device */
static struct device devices[RTE_MAX_ETHPORTS];

/* Like a card with RSS: each flow has a hash of its own, which leads to this queue. */
static void hash(const struct rx_queue *queue, struct rte_mbuf **packets, uint16_t n, unsigned flow)
{
	for (uint16_t i = 0; i < n; i++) {
		packets[i]->hash.rss =
			(flow + i) % queue->source.load->flows * n_queues + queue->number;
		packets[i]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
}

static uint16_t receive(void *rx_queue, struct rte_mbuf **packets, uint16_t n)
{
	struct rx_queue *queue = rx_queue;

	n = load_due(&queue->source, n);
	if (n == 0 || rte_pktmbuf_alloc_bulk(queue->pool, packets, n) != 0)
		return 0;
	unsigned flow = queue->source.next_flow;
	load_fill(&queue->source, packets, n);
	if (n_queues > 1)
		hash(queue, packets, n, flow);
	return n;
}

static uint16_t transmit(void *tx_queue, struct rte_mbuf **packets, uint16_t n)
{
	struct tx_queue *queue = tx_queue;

	load_receive(queue->load, queue->slot, packets, n);
	rte_pktmbuf_free_bulk(packets, n);
	return n;
}

#ifdef BENCH_LINKED
#	define TAKES_OVER(function) __wrap_##function
#	define REAL(function) __real_##function

extern __typeof__(rte_eth_dev_info_get) __real_rte_eth_dev_info_get, __wrap_rte_eth_dev_info_get;
extern __typeof__(rte_eth_rx_queue_setup) __real_rte_eth_rx_queue_setup,
	__wrap_rte_eth_rx_queue_setup;
extern __typeof__(rte_eth_dev_start) __real_rte_eth_dev_start, __wrap_rte_eth_dev_start;
#else
#	define TAKES_OVER(function) function
#	define REAL(function) ((__typeof__(&function))next(#        function))

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL) {
		fprintf(stderr, "bench: no %s: is this program linked with shared DPDK?\n", name);
		abort();
	}
	return function;
}
#endif

static bool is_ours(uint16_t port)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	return getenv("BENCH_VF_TO_VM") != NULL && rte_eth_dev_get_name_by_port(port, name) == 0 &&
	       strncmp(name, "net_null", 8) == 0;
}

static void open_loads(void)
{
	if (vf_to_vm != NULL)
		return;
	vf_to_vm = load_open(getenv("BENCH_VF_TO_VM"));
	vm_to_vf = load_open(getenv("BENCH_VM_TO_VF"));
	n_queues = (unsigned)atoi(getenv("BENCH_QUEUES"));
	if (vf_to_vm == NULL || vm_to_vf == NULL)
		exit(2);
}

int TAKES_OVER(rte_eth_dev_info_get)(uint16_t port, struct rte_eth_dev_info *info)
{
	int ret = REAL(rte_eth_dev_info_get)(port, info);

	if (ret == 0 && is_ours(port)) {
		open_loads();
		info->max_rx_queues = info->max_tx_queues = (uint16_t)n_queues;
	}
	return ret;
}

int TAKES_OVER(rte_eth_rx_queue_setup)(uint16_t port, uint16_t queue, uint16_t n_descriptors,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	if (is_ours(port) && queue < LOAD_QUEUES)
		devices[port].rx[queue].pool = pool;
	return REAL(rte_eth_rx_queue_setup)(port, queue, n_descriptors, socket, conf, pool);
}

static void take_over(uint16_t port)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];
	struct device *device = &devices[port];
	char name[RTE_ETH_NAME_MAX_LEN];

	rte_eth_dev_get_name_by_port(port, name);
	device->number = (unsigned)atoi(name + strlen("net_null"));
	for (unsigned q = 0; q < n_queues; q++) {
		unsigned slot = device->number * LOAD_QUEUES + q;

		load_source_init(&device->rx[q].source, vf_to_vm, slot);
		device->rx[q].number = q;
		device->tx[q] = (struct tx_queue){.load = vm_to_vf, .slot = slot};
		device->rx_data[q] = &device->rx[q];
		device->tx_data[q] = &device->tx[q];
	}
	ops->rx_pkt_burst = receive;
	ops->tx_pkt_burst = transmit;
	ops->rxq.data = device->rx_data;
	ops->txq.data = device->tx_data;
}

int TAKES_OVER(rte_eth_dev_start)(uint16_t port)
{
	int ret = REAL(rte_eth_dev_start)(port);

	if (ret == 0 && is_ours(port))
		take_over(port);
	return ret;
}
