/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * bench-vm: the VMs of the benchmark, a net_virtio_user device each, all polled by one thread. What
 * they send is controlled by the load files (load.h); what they receive is counted and discarded.
 *
 * Prints "ready" and the number of TSC cycles per second once all devices are connected. Ends when
 * its standard input does.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

#define BURST 32
#define POOL_CACHE 512
#define ROUNDS_PER_LOOK 1000

struct options {
	const char *vf_to_vm, *vm_to_vf; /* load files */
	const char *cpu;
	unsigned queues, queue_size;
	unsigned room_bytes; /* of a buffer */
	unsigned ports;
	bool packed, mergeable, in_order, huge;
	char **sockets;
};

struct sender {
	struct load_source source;
	struct rte_mbuf *packets[BURST]; /* filled, not yet taken by the ring */
	uint16_t first, n;
};

struct vm {
	struct options options;
	struct load *vf_to_vm, *vm_to_vf;
	struct rte_mempool *pool;
	uint16_t ids[RTE_MAX_ETHPORTS]; /* of the ports */
	struct sender senders[RTE_MAX_ETHPORTS][LOAD_QUEUES];
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "bench-vm: %s: %s\n", what, strerror(-error));
	return error;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: bench-vm --vf-to-vm=FILE --vm-to-vf=FILE --cpu=N --queues=N "
		"--queue-size=N --room=BYTES [--packed] [--mergeable] [--in-order] [--huge] "
		"SOCKET...\n");
	return -EINVAL;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option table[] = {{"vf-to-vm", 1, NULL, 'f'},
		{"vm-to-vf", 1, NULL, 't'}, {"cpu", 1, NULL, 'c'}, {"queues", 1, NULL, 'q'},
		{"queue-size", 1, NULL, 's'}, {"room", 1, NULL, 'r'}, {"packed", 0, NULL, 'p'},
		{"mergeable", 0, NULL, 'm'}, {"in-order", 0, NULL, 'i'}, {"huge", 0, NULL, 'h'},
		{0}};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->vf_to_vm = optarg;
			break;
		case 't':
			o->vm_to_vf = optarg;
			break;
		case 'c':
			o->cpu = optarg;
			break;
		case 'q':
			o->queues = (unsigned)atoi(optarg);
			break;
		case 's':
			o->queue_size = (unsigned)atoi(optarg);
			break;
		case 'r':
			o->room_bytes = (unsigned)atoi(optarg);
			break;
		case 'p':
			o->packed = true;
			break;
		case 'm':
			o->mergeable = true;
			break;
		case 'i':
			o->in_order = true;
			break;
		case 'h':
			o->huge = true;
			break;
		default:
			return usage();
		}
	}
	o->sockets = argv + optind;
	o->ports = (unsigned)(argc - optind);
	if (!o->vf_to_vm || !o->vm_to_vf || !o->cpu || !o->queue_size || !o->room_bytes ||
		o->queues < 1 || o->queues > LOAD_QUEUES || o->ports < 1)
		return usage();
	if (o->ports > RTE_MAX_ETHPORTS) {
		fprintf(stderr, "bench-vm: this DPDK has %d ports at most\n", RTE_MAX_ETHPORTS);
		return -EINVAL;
	}
	return 0;
}

/* Enough for all rings full both ways, and for the bursts. */
static unsigned buffers(const struct options *o)
{
	return o->ports * o->queues * (2 * o->queue_size + 2 * BURST) + 2 * POOL_CACHE;
}

static int start_eal(const struct options *o)
{
	char memory[16];
	char *argv[] = {"bench-vm", "-l", (char *)o->cpu, "--no-pci", "--no-telemetry",
		"--iova-mode=va", "--single-file-segments", "--log-level=error", "-m", memory,
		o->huge ? "--in-memory" : "--no-huge", o->huge ? "--huge-unlink" : "--no-shconf",
		NULL};

	/* A buffer takes more than its room, and the devices have rings too. */
	snprintf(memory, sizeof(memory), "%u",
		(unsigned)((uint64_t)buffers(o) * (o->room_bytes + 512) >> 20) + 32 + 2 * o->ports);
	int ret = rte_eal_init(RTE_DIM(argv) - 1, argv);
	return ret < 0 ? fail("cannot start DPDK", -rte_errno) : 0;
}

static int open_port(struct vm *vm, unsigned index)
{
	const struct options *o = &vm->options;
	struct rte_eth_conf conf = {.rxmode.mtu = o->room_bytes > 2048 ? 9000 : 1500};
	/*
	 * The driver frees sent packets two bursts later, as an operating system would, and not
	 * only when its ring is full: otherwise the pool's cache, and so its speed, would depend on
	 * how full the relay leaves the ring.
	 */
	const struct rte_eth_txconf tx = {.tx_free_thresh = (uint16_t)(o->queue_size - 2 * BURST)};
	char name[32], arguments[256];
	uint16_t port;

	snprintf(name, sizeof(name), "net_virtio_user%u", index);
	snprintf(arguments, sizeof(arguments),
		"path=%s,mac=02:00:00:00:%02x:01,queues=%u,queue_size=%u,packed_vq=%d,mrg_rxbuf=%d,"
		"in_order=%d",
		o->sockets[index], index, o->queues, o->queue_size, o->packed, o->mergeable,
		o->in_order);
	int ret = rte_vdev_init(name, arguments);
	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(name, &port);
	if (ret == 0)
		ret = rte_eth_dev_configure(port, (uint16_t)o->queues, (uint16_t)o->queues, &conf);
	for (uint16_t q = 0; ret == 0 && q < o->queues; q++) {
		ret = rte_eth_rx_queue_setup(
			port, q, (uint16_t)o->queue_size, SOCKET_ID_ANY, NULL, vm->pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(
				port, q, (uint16_t)o->queue_size, SOCKET_ID_ANY, &tx);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret < 0)
		return fail(o->sockets[index], ret);
	vm->ids[index] = port;
	for (unsigned q = 0; q < o->queues; q++)
		load_source_init(
			&vm->senders[index][q].source, vm->vm_to_vf, index * LOAD_QUEUES + q);
	return 0;
}

static int open_all(struct vm *vm)
{
	const struct options *o = &vm->options;
	int ret = start_eal(o);

	if (ret < 0)
		return ret;
	vm->vf_to_vm = load_open(o->vf_to_vm);
	vm->vm_to_vf = load_open(o->vm_to_vf);
	if (vm->vf_to_vm == NULL || vm->vm_to_vf == NULL)
		return -EINVAL;
	vm->pool = rte_pktmbuf_pool_create("vm", buffers(o), POOL_CACHE, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + o->room_bytes), SOCKET_ID_ANY);
	if (vm->pool == NULL)
		return fail("packet pool", -rte_errno);
	for (unsigned i = 0; ret == 0 && i < o->ports; i++)
		ret = open_port(vm, i);
	return ret;
}

static void offer(struct vm *vm, unsigned port, uint16_t queue)
{
	struct sender *sender = &vm->senders[port][queue];

	if (sender->n == 0) {
		uint16_t n = load_due(&sender->source, BURST);
		if (n == 0 || rte_pktmbuf_alloc_bulk(vm->pool, sender->packets, n) != 0)
			return;
		load_fill(&sender->source, sender->packets, n);
		sender->first = 0;
		sender->n = n;
	}
	uint16_t sent =
		rte_eth_tx_burst(vm->ids[port], queue, sender->packets + sender->first, sender->n);
	sender->first += sent;
	sender->n -= sent;
}

static void receive(struct vm *vm, unsigned port, uint16_t queue)
{
	struct rte_mbuf *packets[BURST];
	uint16_t n = rte_eth_rx_burst(vm->ids[port], queue, packets, BURST);

	if (n == 0)
		return;
	load_receive(vm->vf_to_vm, port * LOAD_QUEUES + queue, packets, n);
	rte_pktmbuf_free_bulk(packets, n);
}

static bool input_ended(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	return poll(&in, 1, 0) > 0 && read(STDIN_FILENO, &c, 1) <= 0;
}

static void play(struct vm *vm)
{
	for (uint64_t round = 1;; round++) {
		for (unsigned port = 0; port < vm->options.ports; port++)
			for (uint16_t queue = 0; queue < vm->options.queues; queue++) {
				if (!(vm->vf_to_vm->stalled & 1u << queue))
					receive(vm, port, queue);
				offer(vm, port, queue);
			}
		if (round % ROUNDS_PER_LOOK != 0)
			continue;
		if (input_ended())
			return;
		if (!vm->vf_to_vm->on && !vm->vm_to_vf->on)
			rte_delay_us_sleep(1000); /* the CPU is shared; nothing is measured now */
	}
}

int main(int argc, char **argv)
{
	static struct vm vm;

	if (parse(&vm.options, argc, argv) < 0 || open_all(&vm) < 0)
		return 2;
	printf("ready %" PRIu64 "\n", rte_get_tsc_hz());
	fflush(stdout);
	play(&vm);
	for (unsigned i = 0; i < vm.options.ports; i++) {
		rte_eth_dev_stop(vm.ids[i]);
		rte_eth_dev_close(vm.ids[i]);
	}
	rte_eal_cleanup();
	return 0;
}
