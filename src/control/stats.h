/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The counters and the state of relays as plain data, for the wire, the metrics and the tools. A
 * leaf header: no DPDK, no protobuf.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/burst.h"
#include "base/drop.h"
#include "control/op.h"

struct packet_count {
	uint64_t packets;
	uint64_t bytes; /* frame bytes without FCS */
};

/* A slice of a direction, with a worker of its own. */
struct slice_stats {
	int cpu; /* of its worker; -1 for none */
	uint64_t busy_ns;
};

/* A queue of the VM, in one direction. The counts are of all VMs on the present socket. */
struct queue_stats {
	unsigned ring_size; /* descriptors; 0: not in use */
	uint64_t packets;   /* taken from the VM, or given to it */
	uint64_t dropped;   /* vf_to_vm: packets, because the VM left the queue full */
};

/*
 * One direction of one relay. In every snapshot
 * received = sent + the sum of dropped + backlog, packets and bytes alike.
 */
struct direction_stats {
	bool active;                /* vf_to_vm: a device is attached; vm_to_vf: a VM is attached */
	const char *internal_state; /* "DPDK_READY", "VIRTIO_UNINIT", ...; static storage */
	int cpu;                    /* of the worker of its first slice; -1 for none */
	struct packet_count received;
	struct packet_count sent;
	struct packet_count dropped[DROP_N];
	struct packet_count backlog;
	uint64_t bursts[BURST_BUCKETS]; /* received bursts by size, see base/burst.h */
	bool pinned;                    /* to its worker, by the configuration */
	bool measured;                  /* busy_ns is known */
	uint64_t busy_ns;               /* time that workers have spent on it; only grows */
	unsigned n_slices;              /* 1: not split */
	struct slice_stats slices[SLICES_MAX];
	struct queue_stats queues[QUEUE_PAIRS_MAX]; /* by the VM's queue pair */
	uint64_t interrupts; /* of the VM on account of these queues; counts as the queues do */
};

/*
 * The original counters know two kinds of drops: those without a destination, and all others, which
 * are summed up here.
 */
static inline struct packet_count dropped_while_connected(const struct direction_stats *stats)
{
	struct packet_count sum = {0};

	for (unsigned i = 0; i < DROP_N; i++) {
		if (i == DROP_NOT_CONNECTED)
			continue;
		sum.packets += stats->dropped[i].packets;
		sum.bytes += stats->dropped[i].bytes;
	}
	return sum;
}

/* Times only grow. Time that is neither busy nor asleep was spent polling in vain. */
struct worker_stats {
	unsigned cpu;
	int numa_node; /* -1: unknown */
	uint64_t busy_ns;
	uint64_t sleep_ns;
	/* Part of all of these: it could have run, but its CPU ran something else. */
	bool has_waiting; /* waiting_ns is known */
	uint64_t waiting_ns;
};

/* The VM side of a relay. */
struct vm_stats {
	bool listens;           /* QEMU listens on the socket, and the daemon connects */
	unsigned sessions;      /* how often a guest's driver became ready */
	unsigned announcements; /* how often QEMU had the daemon announce a migrated VM (RARP) */
	unsigned refusals; /* VMs that were turned away, or thrown out when they broke the protocol
	                    */
	unsigned broken_rings; /* given up until its driver sets them up anew */
	bool migrates;         /* it is being migrated away: writes to its memory are logged */
	uint64_t features;     /* negotiated with the VM that is connected; 0 without one */
	int numa_node;         /* of the VM's memory; -1: unknown, or no VM */
	unsigned n_queues;     /* queue pairs of its device, enabled or not; 0: no VM */
};

struct relay_stats {
	unsigned id;
	bool active; /* device and VM are both ready */
	char ident[IDENT_SIZE];
	char vhost_path[SOCKET_PATH_SIZE]; /* "" for none */
	char device[DEVICE_TEXT_SIZE];     /* in the wire's form; a bond's name; "" for none */
	unsigned socket_id;                /* NUMA node of the packet pool */
	int numa_node;                     /* where its lanes are preferably placed; -1: unknown */
	int device_node;                   /* of the device; -1: unknown, or none */
	struct vm_stats vm;
	struct direction_stats vf_to_vm;
	struct direction_stats vm_to_vf;
};

/* Everything at one moment. */
struct stats_view {
	unsigned n_relays;
	struct relay_stats relays[RELAYS_MAX]; /* in the order of their ids */
	unsigned n_workers;
	struct worker_stats workers[WORKERS_MAX];
};

/* Fills in the present statistics. Must be quick. */
typedef void stats_snapshot(void *userdata, struct stats_view *ret_view);
