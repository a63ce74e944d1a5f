/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A lane is one direction of one relay: what a worker polls. It belongs to whoever may touch it:
 * to the one worker whose plan holds it, else to the control thread (workers.h moves it between
 * them).
 *
 * The counters may be read by any thread at any time; everything else only by the owner.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/counters.h"
#include "core/stash.h"

struct guest;
struct rte_mempool;
struct vf;

struct lane {
	struct vf *vf;       /* NULL: none attached */
	struct guest *guest; /* NULL: no socket */
	struct stash stash;
	uint64_t stuck_since; /* vf_to_vm: TSC when the oldest packet was first refused, 0 for never
	                       */
	/* Where packets of the VM go that no device will take. Shared by all relays. */
	struct rte_mempool *discard_pool;
	struct counters counters;
	int worker; /* whose plan holds the lane, -1 for none; the control thread's */
};

void lane_init(struct lane *lane, struct rte_mempool *discard_pool);

/* Passes on what it can of one burst. Returns the packets moved, 0 when idle. The owner. */
unsigned vf_to_vm_poll(struct lane *lane);
unsigned vm_to_vf_poll(struct lane *lane);

/*
 * Drops the backlog, because the device or VM it stands for is taken away. The owner, with the lane
 * in no plan.
 */
void lane_drain(struct lane *lane);
