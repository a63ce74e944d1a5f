/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A lane is what a worker polls: one direction of one relay, or a slice of it. A device with
 * several queues is divided among several slices, which may run on different workers. Slice s of n
 * takes those receive queues of the device and transmit rings of the guest whose number is s modulo
 * n, and sends on the device's transmit queue s.
 *
 * A lane belongs to the one worker whose plan holds it; in no plan, it belongs to the control
 * thread (workers.h moves it between them). Any thread except a worker may read the counters at any
 * time; everything else only the owner may touch, except as noted.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "core/lane/awake.h"
#include "core/packet/backlog.h"
#include "core/packet/counters.h"
#include "core/packet/gso.h"
#include "core/packet/packets.h"
#include "core/packet/stash.h"
#include "core/packet/steer.h"
#include "core/packet/tap.h"
#include "core/ring/ring.h"
#include "core/ring/ring_loans.h"
#include "core/ring/stores.h"

static_assert(LANE_BURST <= RING_BURST, "a ring takes a lane's burst in one call, and gives one");

struct guest;
struct guest_session;
struct rte_mempool;
struct vf;

struct lane {
	struct vf *vf;       /* NULL: none attached */
	struct guest *guest; /* NULL: no socket */
	uint16_t slice;      /* 0..n_slices-1 */
	uint16_t n_slices;
	int worker; /* whose plan holds the lane; -1: none. The control thread's */
	bool armed; /* its source has been asked to wake a worker */
	struct awake awake;
	/*
	 * TSC cycles that workers have spent on packets of this lane. Written by its worker, read
	 * by the control thread.
	 */
	_Atomic uint64_t busy_cycles;
	struct counters counters;
	/* Copies passing packets; NULL: nobody captures. Set by the control thread at any time. */
	_Atomic(struct tap *) tap;
};

/* Shows passing packets to the tap, if there is one. The lane's owner. */
static inline void lane_show(struct lane *lane, struct rte_mbuf *const *packets, uint16_t n)
{
	struct tap *tap = atomic_load_explicit(&lane->tap, memory_order_acquire);

	if (unlikely(tap != NULL) && n > 0)
		tap_packets(tap, packets, n);
}

/*
 * VF to VM. Packets for which a ring of the guest has no room wait in the backlog. While packets
 * wait for all rings, the device is not read: it feels the guest's back pressure, and nothing that
 * was taken is lost; but a bond that needs polling (vf.h) is read again soon. If the guest has
 * several rings, one that does not move must not starve the others: they go on while it fills its
 * share of the backlog. Then it may hold back the device for a moment, but not again before its
 * queue has been empty; after that its packets are dropped.
 */
struct vf_to_vm {
	struct lane lane;
	uint16_t n_read;    /* queues of the device that had their turn in the present round */
	uint16_t next_ring; /* queue pair of the guest, the first to get what waits for it */
	struct steer steer;
	struct backlog backlog;
	struct stores stores;
	unsigned session_number; /* of the guest's sessions, the one that stores are measured for */
	/*
	 * For each ring, while packets wait for it: the TSC when its share became full; 0: it has
	 * not been full.
	 */
	uint64_t full_since[QUEUE_PAIRS_MAX];
};

/*
 * VM to VF. Packets wait in the inbox for the device; meanwhile the rings are not read. Lent
 * packets (ring_loans.h) that the device does not take at once are copied before they wait.
 *
 * Some drivers refuse a packet for ever. So a device that has taken nothing for a second is offered
 * packets from behind the oldest, for which the inbox is filled up. If it takes so many that their
 * room was enough for the oldest, and then still not the oldest, that is dropped. If it takes none
 * of them for 10 s while its link is up, all in the inbox are dropped. A device of AF_PACKET is
 * waited for instead: its driver refuses a packet only if the ring is full.
 */
struct vm_to_vf {
	struct lane lane;
	uint16_t next_ring;  /* queue pair of the guest, to be read first */
	uint16_t polls_left; /* until the one that looks at disabled rings too */
	bool to_cut;         /* the inbox may hold packets to be segmented */
	bool to_prepare;     /* or packets that ask the device for an offload */
	bool to_push;        /* the socket of its queue may hold packets (packet_sockets.h) */
	struct stash inbox;
	/*
	 * State of the oldest packet of the inbox while it is being cut; it leaves the inbox after
	 * its last segment.
	 */
	struct gso gso;
	struct stash segments;
	bool segment_refused; /* the device's driver has refused a segment of that packet */
	struct lender lender;
	uint64_t refused_at; /* TSC of the device's last refusal */
	/*
	 * For how long it has refused, in cycles: the time between its refusals, of which no more
	 * than REFUSED_STEP_MS counts each time. 0: it took what it was offered last.
	 */
	uint64_t refused_for;
	uint32_t n_passed; /* descriptors that it has taken since then, from behind the oldest */
	uint16_t n_offers; /* of such packets */
	/* Packets dropped for that so far. Written by the owner, read by the control thread. */
	_Atomic unsigned n_refused;
	/* For packets that no device will take. Shared by all relays. */
	struct rte_mempool *discard_pool;
};

void vf_to_vm_init(struct vf_to_vm *lane, uint16_t slice);
void vm_to_vf_init(struct vm_to_vf *lane, uint16_t slice, struct rte_mempool *discard_pool);

/*
 * Passes on what it can of one burst. Returns how much it has moved: the packets received plus
 * those sent, and from VM to VF the segments sent as well; at least MANY_MOVED if bytes or
 * descriptors have ended the burst, since more is waiting then. 0: the lane is idle and may doze
 * off. vf_to_vm_poll() returns 1 if it has only looked through a guest's buffers in vain: packets
 * wait. The owner.
 */
unsigned vf_to_vm_poll(struct vf_to_vm *lane);
unsigned vm_to_vf_poll(struct vm_to_vf *lane);

/* The next queue pair of a mask that has one, in turn: from this one on. */
static inline unsigned queue_in_turn(uint32_t queues, unsigned from)
{
	const uint32_t rest = queues & ~0u << from;

	return __builtin_ctz(rest != 0 ? rest : queues);
}

/* True if a poll cannot find anything: there is no VM, and nothing is under way. The owner. */
bool vm_to_vf_is_vacant(const struct vm_to_vf *lane);

/*
 * Begins to fetch into the cache what a poll of a silent lane reads, without waiting for it. In
 * steps 0..PREFETCH_STEPS-1, each of which needs what the one before has fetched. The owner.
 */
#define PREFETCH_STEPS 4
void vf_to_vm_prefetch(const struct vf_to_vm *lane, unsigned step);

/*
 * Drops the packets that the lane holds, because their device or VM is being taken away. The owner,
 * with the lane in no plan.
 */
void vf_to_vm_drain(struct vf_to_vm *lane);
void vm_to_vf_drain(struct vm_to_vf *lane);

/*
 * Waits until the device has sent what these lanes have lent to it, at most LOANS_SETTLE_MS; false
 * if it has not. The control thread, with the lanes in no plan.
 */
bool vm_to_vf_settle(struct vm_to_vf *lanes, unsigned n);

/*
 * The transmit rings of this slice that the guest has enabled, and those that it has started and
 * disabled; a bit for each queue pair. The owner.
 */
uint32_t vm_to_vf_rings(const struct vm_to_vf *lane, const struct guest_session *session);
uint32_t vm_to_vf_disabled_rings(const struct vm_to_vf *lane, const struct guest_session *session);
