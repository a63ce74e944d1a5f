/* SPDX-License-Identifier: BSD-3-Clause */

#include "port.h"

#include <errno.h>
#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

#define BUFFERS_PER_QUEUE 4096 /* of a pool: twice what the rings of both ports hold */
#define POOL_CACHE 256
#define PORT_DESCRIPTORS 1024
#define MEMIF_LOG2_RING 10
#define VM_DEVICE "net_virtio_user0"
#define NET_DEVICE "net_memif0"

static int fail(const char *what, int error)
{
	fprintf(stderr, "packet-peer: %s: %s\n", what, strerror(-error));
	return error;
}

/* Bytes of data in one buffer of the pool, which holds the longest frame. */
static uint16_t frame_room(const struct options *o)
{
	return RTE_MAX(options_max_frame(o), RTE_MBUF_DEFAULT_DATAROOM);
}

/* In each of the two pools. All are written to at the start, which takes time. */
static unsigned pool_buffers(const struct options *o)
{
	return o->queues * BUFFERS_PER_QUEUE - 1;
}

static int start_eal(const struct options *o)
{
	char cpu[16], memory[16];
	/*
	 * virtio_user shares all memory with the relay through one file descriptor, so it must be a
	 * single file: --no-huge and --single-file-segments.
	 */
	char *argv[] = {"packet-peer", "--no-huge", "--no-shconf", "--single-file-segments",
		"--no-pci", "--no-telemetry", "--log-level=error", "--file-prefix=packet-peer",
		"-l", cpu, "-m", memory, NULL};
	unsigned bytes_per_buffer = 2 * frame_room(o) + 1024;
	int ret;

	snprintf(cpu, sizeof(cpu), "%u", o->cpu);
	snprintf(memory, sizeof(memory), "%u", (pool_buffers(o) * bytes_per_buffer >> 20) + 64);
	ret = rte_eal_init(RTE_DIM(argv) - 1, argv);
	return ret < 0 ? fail("cannot start DPDK", -rte_errno) : 0;
}

static int add_device(int *ret_port, const char *name, const char *arguments)
{
	uint16_t port;
	int ret;

	ret = rte_vdev_init(name, arguments);
	if (ret < 0)
		return fail(arguments, ret);
	ret = rte_eth_dev_get_port_by_name(name, &port);
	if (ret < 0)
		return fail(name, ret);
	*ret_port = port;
	return 0;
}

/* mtu 0: the driver's. lsc: link state changes come by interrupt. */
static int start_port(
	const struct options *o, int port, struct rte_mempool *rx_pool, uint32_t mtu, bool lsc)
{
	struct rte_eth_conf conf = {
		.rxmode.mtu = mtu,
		.intr_conf.lsc = lsc,
	};
	uint16_t id = (uint16_t)port;
	int ret;

	ret = rte_eth_dev_configure(id, (uint16_t)o->queues, (uint16_t)o->queues, &conf);
	for (uint16_t q = 0; ret == 0 && q < o->queues; q++) {
		ret = rte_eth_rx_queue_setup(id, q, PORT_DESCRIPTORS, 0, NULL, rx_pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(id, q, PORT_DESCRIPTORS, 0, NULL);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(id);
	return ret;
}

/* Its link state is updated by interrupt: the rings must not be touched while the relay is away. */
static int open_vm(struct ports *ports, const struct options *o)
{
	char arguments[256];
	int ret;

	if (o->vm_server)
		unlink(o->vm_socket);
	snprintf(arguments, sizeof(arguments),
		"path=%s,mac=02:00:00:00:00:01,server=%d,queues=%u,queue_size=%u,packed_vq=%d,mrg_"
		"rxbuf=%d,in_order=%d",
		o->vm_socket, o->vm_server, o->queues, o->vm_queue_size, o->vm_packed,
		o->vm_mergeable, o->vm_in_order);
	ret = add_device(&ports->vm, VM_DEVICE, arguments);
	if (ret < 0)
		return ret;
	ret = start_port(o, ports->vm, o->vm_mergeable ? ports->rx_pool : ports->tx_pool,
		options_max_frame(o) - RTE_ETHER_HDR_LEN, true);
	return ret < 0 ? fail(VM_DEVICE, ret) : 0;
}

/*
 * The longest frame must fit one memif buffer: chained buffers overrun a ring that is nearly full
 * (DPDK 22.11), and then the link loses packets.
 */
static int open_net(struct ports *ports, const struct options *o)
{
	char arguments[256];
	int ret;

	snprintf(arguments, sizeof(arguments), "role=%s,socket=%s,rsize=%d,bsize=%u",
		o->net_server ? "server" : "client", o->net_socket, MEMIF_LOG2_RING, frame_room(o));
	ret = add_device(&ports->net, NET_DEVICE, arguments);
	if (ret < 0)
		return ret;
	ret = start_port(o, ports->net, ports->tx_pool, 0, false);
	return ret < 0 ? fail(NET_DEVICE, ret) : 0;
}

/* An existing device: it is up at once. */
static int open_net_device(struct ports *ports, const struct options *o)
{
	char name[64];
	const char *arguments = strchr(o->net_device, ',') + 1;
	int ret;

	snprintf(name, sizeof(name), "%.*s", (int)(arguments - 1 - o->net_device), o->net_device);
	ret = add_device(&ports->net, name, arguments);
	if (ret == 0)
		ret = start_port(o, ports->net, ports->tx_pool, 0, false);
	return ret < 0 ? fail(name, ret) : 0;
}

static struct rte_mempool *make_pool(const char *name, const struct options *o, uint16_t room)
{
	return rte_pktmbuf_pool_create(
		name, pool_buffers(o), POOL_CACHE, 0, RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY);
}

int ports_open(struct ports *ret_ports, const struct options *options)
{
	struct ports ports = {.vm = -1, .net = -1};
	int ret;

	ret = start_eal(options);
	if (ret < 0)
		return ret;
	ports.tx_pool = make_pool("tx", options, frame_room(options));
	ports.rx_pool = make_pool("rx", options, RTE_MBUF_DEFAULT_DATAROOM);
	if (!ports.tx_pool || !ports.rx_pool)
		ret = fail("packet pool", -rte_errno);
	if (ret == 0 && options->vm_socket)
		ret = open_vm(&ports, options);
	if (ret == 0 && options->net_socket)
		ret = open_net(&ports, options);
	if (ret == 0 && options->net_device)
		ret = open_net_device(&ports, options);
	if (ret < 0) {
		ports_close(&ports);
		return ret;
	}
	*ret_ports = ports;
	return 0;
}

static void close_port(int port)
{
	if (port < 0)
		return;
	rte_eth_dev_stop((uint16_t)port);
	rte_eth_dev_close((uint16_t)port);
}

void ports_close(struct ports *ports)
{
	close_port(ports->vm);
	close_port(ports->net);
	rte_eal_cleanup();
}

bool port_is_up(int port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait((uint16_t)port, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}
