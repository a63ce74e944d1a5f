/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A virtqueue of a guest's network device, seen from the device: split or packed (virtio 1.2, 2.7
 * and 2.8), for one direction.
 *
 * Theory. The vhost library speaks the protocol and says where the rings are. Between two of its
 * messages the worker alone works on them, without locks and without calls into the library. The
 * vhost thread takes the rings away from the workers before the library changes anything about
 * them, and gives them back afterwards (guest_rings.h).
 *
 * The guest is not trusted. What it may change meanwhile, descriptors and indices, is read once
 * into variables of ours, and only these are checked and used. A guest that breaks the rules of its
 * ring (an index that jumps, a chain without an end, an address outside its memory) loses it: the
 * ring is *retired* and not touched again until the frontend sets it up anew. A packet that makes
 * no sense, in a ring that is sound, is dropped and counted.
 */

#include <assert.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/packet/counters.h"
#include "core/ring/guest_memory.h"

struct lender;
struct ring_loans;
struct rte_mbuf;
struct rte_mempool;

/* Why a ring was retired. RING_FAULT(id, text) */
#define RING_FAULTS(RING_FAULT)                                                           \
	RING_FAULT(SOUND, "sound")                                                        \
	RING_FAULT(INDEX, "an available index that is too far ahead, or goes back")       \
	RING_FAULT(HEAD, "a descriptor number beyond the ring")                           \
	RING_FAULT(LOOP, "a chain of more descriptors than the ring has")                 \
	RING_FAULT(INDIRECT, "an indirect table of no size, or inside another one")       \
	RING_FAULT(DIRECTION, "a buffer that is writable where it is to be read, or not " \
			      "where it is to be written")                                \
	RING_FAULT(ADDRESS, "a buffer outside the guest's memory")

enum ring_fault {
#define RING_FAULT(id, text) RING_##id,
	RING_FAULTS(RING_FAULT)
#undef RING_FAULT
};

#define RING_LINE 64 /* bytes of a cache line */

/* Each half has a cache line of its own: what bursts only read, and what they write. */
struct ring {
	/* Constant while workers may use the ring. Addresses are in our own address space. */
	alignas(RING_LINE) union {
		struct vring_desc *desc;
		struct vring_packed_desc *packed_desc;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver_event;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device_event;
	};
	const struct guest_memory *memory;
	uint16_t size; /* descriptors */
	bool packed;
	bool mergeable;       /* a packet may take several receive buffers */
	bool event_index;     /* VIRTIO_RING_F_EVENT_IDX */
	bool in_order;        /* VIRTIO_F_IN_ORDER, and the guest sends by it */
	bool data_valid;      /* the guest relies on checksums that the device has checked */
	uint8_t header_bytes; /* in front of each packet */
	int call_fd;          /* eventfd to interrupt the guest; negative: none */
	int kick_fd;          /* eventfd of the guest's notifications; negative: none */
	uint64_t hold_cycles; /* split: how long used buffers may be held, TSC */
	/* NULL: everything is copied. Otherwise they belong to whoever has the position. */
	struct ring_loans *loans;

	/*
	 * The position. It belongs to the worker that uses the ring (if several give packets to it,
	 * the one that holds `giving`), and to the vhost thread while no worker may use the ring.
	 * Everything before it has been used; buffers are used in the order in which they were made
	 * available.
	 */
	alignas(RING_LINE) uint16_t next; /* split: free-running; packed: descriptor number */
	uint16_t known;                   /* split: buffers up to here are known to be available */
	bool wrap;                        /* packed: the wrap counter */
	uint16_t call_considered_at; /* `next` when we last asked whether the guest wants a call */
	bool call_considered;        /* we ever did */
	bool past_cache;             /* packets are written past the cache now (stores.h) */
	/*
	 * Split: the buffers before the position that are written as used, but that the guest does
	 * not see yet. The position's owner.
	 */
	struct {
		uint64_t since; /* TSC */
		uint16_t n;
	} held;
	/* Held while packets are given, if several workers may do that. Nobody waits for it. */
	atomic_flag giving;
	/*
	 * The last packet for which the buffers at the position did not suffice, and how many slots
	 * they take. The position's owner.
	 */
	struct {
		uint16_t next;
		uint16_t slots; /* 0: none */
		uint32_t bytes; /* with its header */
	} starved;
	_Atomic uint8_t fault; /* enum ring_fault; the position's owner writes, any thread reads */
	/* Since the ring's memory was allocated. The position's owner writes, any thread reads. */
	_Atomic uint64_t n_packets; /* taken from the ring, or given to the guest */
	_Atomic uint64_t n_calls;   /* of the guest, by the eventfd */
};

static_assert(offsetof(struct ring, next) == RING_LINE && sizeof(struct ring) == 2 * RING_LINE,
	"two cache lines");

/*
 * Takes up to `n` packets (RING_BURST at most) that the guest sends into `ret_packets`, as copies
 * from `pool`; returns how many. Packets that make no sense are not among them; both kinds are
 * counted in `account`. Fewer are taken if the pool has fewer, and none after a chain that
 * completes RING_BURST_BYTES or RING_BURST_DESCRIPTORS. With a `lender`, long packets are lent, and
 * loans that are over are given back to the guest (ring_loans.h). A split ring without loans may
 * hold the used buffers of full bursts: the guest sees them when a quarter of the ring is held,
 * after a burst that is neither full nor empty, or in the first call for which it is time
 * (`hold_cycles`). The worker.
 */
uint16_t ring_take(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account);

/* Shows the guest what is held. The worker, or the vhost thread while none may use the ring. */
void ring_show_held(struct ring *ring);

/*
 * Gives everything back to the guest: what is held, and all loans. Before that it waits until the
 * device has sent everything that was ever lent from the ring, at most until the TSC reaches
 * `deadline`; ring_loans_sent() tells whether it has. The vhost thread.
 */
void ring_end(struct ring *ring, uint64_t deadline);

/*
 * Copies up to `n` packets (RING_BURST at most) into receive buffers of the guest; `past_cache`:
 * long ones past the cache (stores.h). Returns how many are done with; they remain the caller's,
 * who frees them. The next one, if any, waits for buffers, or for a burst that has not yet used up
 * RING_BURST_DESCRIPTORS. `account` counts packets that were given as sent, and packets that can
 * never be given as dropped. The worker.
 */
uint16_t ring_give(struct ring *ring, bool past_cache, struct rte_mbuf **packets, uint16_t n,
	struct burst_account *account);

#define RING_BURST 32

/*
 * How long the used buffers of full bursts from the guest are held, so that it sees them together.
 * If a worker has other things to do, it is until the ring has its turn again.
 */
#define RING_HOLD_US 10

/*
 * After this many bytes no other chain is taken. One may have 64 KiB, and a worker that copied 32
 * of them would be lost to its other lanes for as long as their rings have room.
 */
#define RING_BURST_BYTES 65536

/*
 * Nor is another one looked at, in either direction, after chains of so many descriptors: each may
 * cost a cache line or two of the guest's memory, however few bytes are in it.
 */
#define RING_BURST_DESCRIPTORS 1024

/*
 * Asks the guest to notify us of new buffers, which also ends the holding of used ones, or says
 * that there is no need. The worker, or the vhost thread while no worker may use the ring.
 */
void ring_ask_to_notify(struct ring *ring, bool on);

/*
 * Calls the guest by the ring's eventfd, which there must be. Waits if the guest has filled it up
 * (guest_calls.h). The same threads.
 */
void ring_call(struct ring *ring);

/*
 * For a packed ring that has been started, and whose last backend may have died: corrects the
 * position from the descriptors, and completes a burst that was being given back. True if the
 * position was wrong. QEMU does not learn how far such a ring has got when its backend goes away,
 * and repeats what it heard last: at the VM's last stop or migration, or at the start.
 *
 * It works because buffers are marked as used one by one and in order, and a driver that offers one
 * again leaves the used flag as it is (virtio 1.2, 2.8.1). So the flag changes at the position. Of
 * a chain of several descriptors only the first is marked: do not call this for guests that may
 * make many of them. In a ring that is `in_order` only the ends of bursts are marked, which
 * suffices. The vhost thread.
 */
bool ring_packed_find_position(struct ring *ring);

static inline enum ring_fault ring_fault(const struct ring *ring)
{
	return atomic_load_explicit(&ring->fault, memory_order_relaxed);
}

const char *ring_fault_text(enum ring_fault fault);
