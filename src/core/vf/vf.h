/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A DPDK port that a relay forwards to and from: an SR-IOV virtual function, or any other device
 * that DPDK can drive. An open one is started and promiscuous. Each of its queues may be used by
 * one lane in each direction.
 *
 * Control thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/device_counters.h"
#include "base/device_spec.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/packet/offload.h"

struct rte_mempool;

/* Whether packets of the guest may be lent to the device (ring_loans.h). */
enum vf_lending {
	LENDS_NOTHING,
	LENDS_SYNCHRONOUSLY,  /* it has let go of them when rte_eth_tx_burst() returns */
	LENDS_ASYNCHRONOUSLY, /* reads by DMA; rte_eth_tx_done_cleanup() frees what was sent */
};

/* What a device has been granted. */
struct vf_means {
	unsigned queues; /* each way */
	unsigned mtu;
	bool interrupts;                              /* of the receive queues */
	uint64_t rx_offloads, tx_offloads, rss_types; /* in use; DPDK's flags */
};

struct vf_options {
	unsigned relay_id;   /* for the name of the pool, and for the log */
	unsigned mtu;        /* wanted; a device that refuses more gets 1500 */
	unsigned interrupts; /* that a single device has, one of them for its driver; 0: unknown */
	unsigned n_members;  /* that a bond will have; 0: those that are there */
	const struct vf_means *most; /* which those all can give; NULL: unknown */
	bool zero_copy;              /* lend packets to it if the device is fit for that */
};

/* Of a queue of a bond that receives from one member at a time; its lane's. */
struct vf_heard {
	uint16_t member;     /* that it was read from last */
	uint16_t reads_left; /* until the other members are read, too */
	uint8_t apart[60];   /* each queue has a cache line of its own */
};

/* Constant while the device is open, except as noted; lanes read it. */
struct vf {
	unsigned relay_id;           /* for messages */
	char name[DEVICE_TEXT_SIZE]; /* for messages: the device as given, or the bond's name */
	bool bond;
	uint16_t n_members; /* of a bond, whether they are there or not; else 1 */
	bool pci;           /* a PCI function and no bond */
	bool interrupts;    /* each receive queue can wake a sleeping worker */
	unsigned n_sockets; /* or these can, one per queue, as packet_sockets_since() orders them */
	int sockets[SLICES_MAX];
	/*
	 * The bond's protocol runs inside the calls that send and receive. 802.3ad wants these at
	 * least every 100 ms, even without packets (DPDK's bonding guide).
	 */
	bool needs_polling;
	bool hears_one; /* a bond that receives from one member at a time */
	bool announces; /* such a bond that always sends by that member: it can announce the VM */
	bool sends_singly; /* only one packet may be given to it at a time */
	uint16_t port;     /* DPDK's port number */
	uint16_t n_queues; /* each way, 1..SLICES_MAX */
	uint64_t rx_offloads, tx_offloads, rss_types; /* as in struct vf_means */
	struct offload_caps offloads;
	unsigned mtu;             /* as the device accepted it */
	unsigned max_frame_bytes; /* longest frame that it sends, without FCS */
	unsigned frame_buffers;   /* buffers of the pool that the longest received frame takes */
	int node;                 /* NUMA node of the device; -1: unknown */
	int pool_node;            /* NUMA node of the pool */
	uint16_t ring_rx;         /* descriptors of a receive queue */
	uint16_t ring_tx;         /* descriptors of a transmit queue */
	enum vf_lending lending;  /* reduced when the device has made a VM wait */
	bool chains;              /* it takes packets of several segments */
	uint16_t lend_max;        /* segments per queue that may be lent at a time */
	struct rte_mempool *pool; /* owned; another one after vf_move_pool() */
	struct rte_mempool *old_pool; /* owned; the pool before, while its packets may be out */
	/* No lane's, and not constant. */
	int served_by;      /* the member that a bond that hears one had when it was last asked */
	unsigned n_strayed; /* times in a row that the member heard did not have the bond's MAC */
	bool unannounced;   /* it has another member than when the VM was announced last */
	struct device_counters counters; /* as vf_read_counters() last found them */
	struct device_counters gone;     /* what members that are away had counted of them */
	struct log_limit spread_limit;   /* VMs decide how often the RSS table is laid out */
	struct vf_heard heard[SLICES_MAX];
};

/*
 * Probes, configures and starts the device. If its driver refuses a long MTU, receive interrupts or
 * so many queues, it is opened anew with less, and a warning says so. All or nothing. Blocks while
 * the hardware starts, for some seconds if it is tried again.
 */
int vf_open(struct vf **ret_vf, const struct device_spec *device, const struct vf_options *options,
	struct err *err);

/*
 * Stops, closes and detaches the device and frees its pools. No lane may run on it any more, and
 * none may hold a packet of its pools. Returns NULL.
 */
struct vf *vf_close(struct vf *vf);

/*
 * Stops the device: it neither sends nor receives any more, and lets go of what it has not sent. No
 * lane may run on it.
 */
void vf_stop(struct vf *vf);

/*
 * Stops the device and starts it again, so that it lets go of what it has not sent. Received
 * packets that it still holds are lost. No lane may run on it.
 */
int vf_restart(struct vf *vf, struct err *err);

/*
 * A member comes back to a bond, or has gone from it: the bond goes on with the members that are
 * there. The member must be an open port (port.h) before vf_add_member() and remains one after
 * vf_remove_member(). Opening and closing a port takes long, and lanes may run on the bond
 * meanwhile; during these two calls none may. A failure leaves the bond as it was.
 */
int vf_add_member(struct vf *vf, uint16_t member, struct err *err);
void vf_remove_member(struct vf *vf, uint16_t member);

/*
 * To be called once a second, since not every driver reports that the link of a bond's member has
 * changed, and when one has. The bond stays with the member that it receives from, which is given
 * the bond's MAC if it has another one; that may wait for the PFs. Lanes may run. Returns true,
 * once, if the network should be told that the bond has another member: when that has the bond's
 * MAC, since a PF may drop what comes from another, or after some seconds in any case.
 */
bool vf_follow_links(struct vf *vf);

/* What the device has been granted; `interrupts` is false for a bond. */
struct vf_means vf_means(const struct vf *vf);

/* The device's MAC address; zeros if it cannot be read. */
void vf_read_mac(const struct vf *vf, uint8_t ret_mac[static 6]);

/*
 * Lays out the device's RSS table for a guest with `n` enabled receive queues, so that each of
 * these gets its flows from a queue of its own if there are enough; see steer.h. Does nothing if
 * the device has no such table.
 */
void vf_spread(struct vf *vf, unsigned n);

/*
 * True if the pool is known to be on another NUMA node than `numa_node` (-1: unknown) and can move
 * there: packets may be kept there, and no device of AF_PACKET is involved, which would not survive
 * the restart.
 */
bool vf_pool_can_move(const struct vf *vf, int numa_node);

/*
 * Makes the device receive into a new pool on that node. The device is stopped and started again
 * for this; received packets that it still holds are lost. No lane may run on it; their backlog is
 * kept. Returns 1; 0 if the device receives into its old pool, and err says why; or a negative
 * errno if it could not be started again: then only vf_close() is of use.
 */
int vf_move_pool(struct vf *vf, int numa_node, struct err *err);

/*
 * Returns to the device's pool what a thread of DPDK's has at hand of it, where nobody else could
 * get at it. That thread runs no lane of the device, or is the calling one.
 */
void vf_flush_cache(struct vf *vf, unsigned lcore);

/* The packet memory that a device usually needs, in bytes. May be called before eal_start(). */
uint64_t vf_memory_bytes(void);
