/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A lane is what a worker polls: one direction of one relay, or a slice of it. A device with
 * several queues is shared out among several slices, which may run on different workers: slice s of
 * n takes the device's receive queues and the guest's transmit rings whose number is s modulo n,
 * and sends on the device's transmit queue s.
 *
 * A lane belongs to whoever may touch it: to the one worker whose plan holds it, else to the
 * control thread (workers.h moves it between them). The counters may be read by any thread at any
 * time; everything else only by the owner.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "core/awake.h"
#include "core/backlog.h"
#include "core/counters.h"
#include "core/gso.h"
#include "core/ring_loans.h"
#include "core/stash.h"
#include "core/steer.h"
#include "core/stores.h"
#include "core/tap.h"

struct guest;
struct guest_session;
struct rte_mempool;
struct vf;

struct lane {
	struct vf *vf;       /* NULL: none attached */
	struct guest *guest; /* NULL: no socket */
	uint16_t slice;      /* 0..n_slices-1 */
	uint16_t n_slices;
	int worker; /* whose plan holds the lane, -1 for none; the control thread's */
	bool armed; /* its source has been asked to wake a worker; the owner's */
	struct awake awake;
	/* TSC cycles that workers have spent on packets of this lane. Written by its worker. */
	_Atomic uint64_t busy_cycles;
	struct counters counters;
	/* Copies what passes; NULL: nobody captures. Set by the control thread at any time. */
	_Atomic(struct tap *) tap;
};

/* Shows packets that pass to whoever captures. The lane's owner. */
static inline void lane_show(struct lane *lane, struct rte_mbuf *const *packets, uint16_t n)
{
	struct tap *tap = atomic_load_explicit(&lane->tap, memory_order_acquire);

	if (unlikely(tap != NULL) && n > 0)
		tap_packets(tap, packets, n);
}

/*
 * VF to VM. What a ring of the guest does not take waits in the backlog. While packets wait for all
 * rings the device is not read: it feels the guest's back pressure, and nothing that was taken is
 * lost. A ring of several that does not move must not starve the others: they go on while it fills
 * its share of the backlog. Then it may hold the device back for a moment, once until it has been
 * empty again; after that its packets are dropped.
 */
struct vf_to_vm {
	struct lane lane;
	uint16_t next_queue; /* of the device, to be read first */
	struct steer steer;
	struct backlog backlog;
	struct stores stores;
	/* TSC, while packets wait for the ring: since when its share is full; 0: it was not yet. */
	uint64_t full_since[QUEUE_PAIRS_MAX];
};

/*
 * VM to VF. Packets wait in the inbox for the device; the rings are not read meanwhile. What was
 * lent (ring_loans.h) and the device does not take at once is copied before it waits.
 */
struct vm_to_vf {
	struct lane lane;
	uint16_t next_ring; /* of the guest, queue pair to be read first */
	uint16_t polls;     /* so far, for what is done now and then */
	bool to_cut;        /* the inbox may hold packets that are to be segmented, */
	bool to_prepare;    /* or that ask the device for an offload */
	struct stash inbox;
	/* The oldest packet of the inbox, while it is being cut: it leaves after its last segment.
	 */
	struct gso gso;
	struct stash segments;
	struct lender lender;
	/* Where packets go that no device will take. Shared by all relays. */
	struct rte_mempool *discard_pool;
};

void vf_to_vm_init(struct vf_to_vm *lane, uint16_t slice);
void vm_to_vf_init(struct vm_to_vf *lane, uint16_t slice, struct rte_mempool *discard_pool);

/* Passes on what it can of one burst. Returns the packets moved, 0 when idle. The owner. */
unsigned vf_to_vm_poll(struct vf_to_vm *lane);
unsigned vm_to_vf_poll(struct vm_to_vf *lane);

/* True where a poll can find nothing: there is no VM, and nothing is on its way. The owner. */
bool vm_to_vf_is_vacant(const struct vm_to_vf *lane);

/*
 * Begins to fetch what a poll of a silent lane reads, without waiting for it: in steps, each of
 * which needs what the one before has fetched. The owner.
 */
#define PREFETCH_STEPS 4
void vf_to_vm_prefetch(const struct vf_to_vm *lane, unsigned step);

/*
 * Drops the backlog, because the device or VM it stands for is taken away. The owner, with the lane
 * in no plan.
 */
void vf_to_vm_drain(struct vf_to_vm *lane);
void vm_to_vf_drain(struct vm_to_vf *lane);

/*
 * Waits until the device has sent what these lanes have lent to it, for SETTLE_MS at the most;
 * false where it has not. The control thread, with the lanes in no plan.
 */
bool vm_to_vf_settle(struct vm_to_vf *lanes, unsigned n);

#define SETTLE_MS 50 /* a full ring is sent in one at 10 Gbit/s */

/* The transmit rings of this slice that the guest has enabled, a bit for each queue pair. */
uint32_t vm_to_vf_rings(const struct vm_to_vf *lane, const struct guest_session *session);
