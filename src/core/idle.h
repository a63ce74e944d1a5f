/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a worker sleeps when there is nothing to do.
 *
 * Theory. A worker that has polled in vain for a while goes to sleep. Where every lane of its plan
 * can wake it (the guest by kicking, the device by an interrupt) it asks them to, polls once more,
 * since a packet may have come before they were asked, and sleeps until one of them does, or for
 * IDLE_SLEEP_MAX_US at the most: that is the answer to a ring that changed its eventfd at the wrong
 * moment, and to protocols that a device runs inside our calls. Where a lane cannot (a device
 * without interrupts, a backlog that waits for room) it sleeps for the latency that the operator
 * allows.
 *
 * While asleep the worker is offline for grace periods (epoch.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/lane.h"

#define IDLE_SPIN_US 100        /* in vain before going to sleep */
#define IDLE_SLEEP_MAX_US 10000 /* at a time */

struct idle {
	int epoll_fd;
	int wake_fd; /* eventfd */
};

/* Control thread. 0 or a negative errno. */
int idle_init(struct idle *idle);
void idle_fini(struct idle *idle);

/* Wakes the worker if it sleeps, and keeps it from the next sleep if it does not. Any thread. */
void idle_wake(struct idle *idle);

/* True where this lane could wake a sleeper. The worker. */
bool idle_vf_to_vm_can_wake(const struct vf_to_vm *lane);
bool idle_vm_to_vf_can_wake(const struct vm_to_vf *lane);

/* Asks the lane's source to wake this worker (on), or not to any more (off). The worker. */
void idle_vf_to_vm_arm(struct idle *idle, struct vf_to_vm *lane, bool on);
void idle_vm_to_vf_arm(struct idle *idle, struct vm_to_vf *lane, bool on);

/* Sleeps until woken, or for so long. The worker, offline. */
void idle_sleep(struct idle *idle, unsigned max_us);
