/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A DPDK port that a relay forwards to and from: an SR-IOV virtual function, or any other device
 * that DPDK can drive. Opened, it is started and promiscuous; its queues may be used by one lane
 * each and direction.
 *
 * Control thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/device_counters.h"
#include "base/device_id.h"
#include "base/err.h"
#include "base/limits.h"
#include "core/offload.h"

struct rte_mempool;

/* Whether packets of the guest may be lent to the device (ring_loans.h), */
enum vf_lending {
	LENDS_NOTHING,
	LENDS_SYNCHRONOUSLY,  /* it has let go of them when rte_eth_tx_burst() returns */
	LENDS_ASYNCHRONOUSLY, /* it reads by DMA; rte_eth_tx_done_cleanup() lets go of those sent */
};

struct vf_options {
	unsigned relay_id; /* for the name of the pool */
	unsigned mtu;      /* wanted; the device's own is kept where it refuses */
	bool zero_copy;    /* lend packets to it where it is a device for that */
};

/* Constant while the device is open. */
struct vf {
	char name[DEVICE_TEXT_SIZE]; /* for messages: the device as given, or the bond's name */
	bool bond;
	bool pci;           /* a PCI function and no bond */
	bool interrupts;    /* each receive queue can wake a sleeping worker; */
	unsigned n_sockets; /* or these can, by which its driver receives */
	int sockets[SLICES_MAX];
	bool needs_polling; /* the bond's own protocol runs inside transmit calls, even of nothing
	                     */
	uint16_t port;      /* DPDK's port number */
	uint16_t n_queues;  /* each way, 1..SLICES_MAX */
	struct offload_caps offloads;
	unsigned mtu;             /* as the device accepted it */
	unsigned max_frame_bytes; /* the longest frame it sends, without FCS, */
	unsigned frame_buffers;   /* and how many buffers of the pool one takes that it receives */
	int node;                 /* NUMA node of the device, -1: unknown; */
	int socket;               /* of the pool */
	uint16_t ring_rx;         /* descriptors of a receive queue, */
	uint16_t ring_tx;         /* and of a transmit queue */
	enum vf_lending lending;  /* less than it began with where it has let a VM wait */
	bool chains;              /* it takes packets of several segments */
	uint16_t lend_max;        /* segments of a queue at a time */
	struct rte_mempool *pool; /* owned; */
	struct rte_mempool
		*old_pool; /* so the one before, some of whose packets may be out; NULL */
	struct device_counters counters; /* as vf_read_counters() has found them last */
};

/* Probes, configures and starts the device. All or nothing. Blocks while the hardware starts. */
int vf_open(struct vf **ret_vf, const struct op_device *device, const struct vf_options *options,
	struct err *err);

/*
 * Stops, closes and detaches the device and frees the pool. No lane may run on it any more and none
 * may hold a packet of its pool. Returns NULL.
 */
struct vf *vf_close(struct vf *vf);

/* The device sends and receives no more, and lets go of what it has not sent. No lane may run on
 * it. */
void vf_stop(struct vf *vf);

/*
 * Stops the device and starts it again: it lets go of what it has not sent. What it holds received
 * is lost. No lane may run on it.
 */
int vf_restart(struct vf *vf, struct err *err);

/*
 * A member of a bond comes back, or has gone: the bond goes on with those that are there. The
 * member is an open port (port.h) before the one and after the other: to open it or to close it
 * takes long, and the lanes of the bond may run meanwhile. Here none may. What fails leaves the
 * bond as it was.
 */
int vf_add_member(struct vf *vf, uint16_t member, struct err *err);
void vf_remove_member(struct vf *vf, uint16_t member);

/* The state of a device's link in words, "Link up at 10 Gbps FDX Autoneg". Does not block. */
void vf_describe_link(const char *device_name, char *ret_text, size_t size);

/* Its MAC. */
void vf_read_mac(const struct vf *vf, uint8_t ret_mac[static 6]);

/* Packets that a device has received so far, by its own count. May wait for the device, as
 * vf_read_counters() does. */
uint64_t vf_received(const char *device_name);

/*
 * Lays out the device's RSS table for a guest with `n` receive queues enabled, so that each of them
 * gets its flows from a queue of its own where there are as many; see steer.h. Does nothing where
 * the device has no such table.
 */
void vf_spread(const struct vf *vf, unsigned n);

/*
 * True where the pool is known to be on another NUMA node than that (-1: unknown), on which packets
 * may be kept.
 */
bool vf_pool_is_remote(const struct vf *vf, int numa_node);

/*
 * Makes the device receive into a pool on that node. The device stops and starts again for it, and
 * what it holds received is lost. No lane may run on it; their backlog is kept. On failure it
 * receives into the pool that it had.
 */
int vf_move_pool(struct vf *vf, int numa_node, struct err *err);

/* Bytes of packet memory that a device usually needs, for a check before the start. */
uint64_t vf_memory_bytes(void);
