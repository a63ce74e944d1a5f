/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a lane with nothing to do is left alone until its source speaks up: the guest by a kick, the
 * device by an interrupt or, if its driver receives from sockets, by these becoming readable. The
 * worker asks for that (arm). It then polls once more, because a packet may have come before it
 * asked. After that it need not poll the lane until idle_wait() names it.
 *
 * A descriptor once watched stays watched, edge-triggered, at next to no cost, because the sources
 * are told to be silent while the lane is polled. idle_reset() forgets them all: after a change of
 * the plan, and when a guest has changed, since its eventfds may be others by now.
 */

#include <stdbool.h>

#include "base/err.h"
#include "core/lane/lane.h"

#define IDLE_EVENTS_MAX 16 /* at once; others come with the next call */

struct idle {
	int epoll_fd; /* the worker's; another one after idle_reset() */
	int wake_fd;  /* eventfd; constant */
};

/*
 * Fails where the kernel does not let us sleep as idle_wait() does. idle_fini() after a failure
 * too. Control thread.
 */
int idle_init(struct idle *idle, struct err *err);
void idle_fini(struct idle *idle);

/* Makes the worker's current or next idle_wait() return with `woken` set. Any thread. */
void idle_wake(struct idle *idle);

/* All others: the worker. */

/*
 * True if this lane's source could wake a sleeping worker. False while packets wait for room
 * elsewhere, while the device has still to send what was lent or its sockets to take what it was
 * given, and if the device's own protocol has to be kept going.
 */
bool idle_vf_to_vm_can_wake(const struct vf_to_vm *lane);
bool idle_vm_to_vf_can_wake(const struct vm_to_vf *lane);

/* Asks the lane's source to wake this worker (on), or to wake nobody (off). */
void idle_vf_to_vm_arm(struct idle *idle, struct vf_to_vm *lane, bool on);
void idle_vm_to_vf_arm(struct idle *idle, struct vm_to_vf *lane, bool on);

struct idle_events {
	bool woken; /* by idle_wake() */
	unsigned n;
	/* A lane from VM to VF, or a device; perhaps of an old plan. */
	const void *sources[IDLE_EVENTS_MAX];
};

/* Waits until a source speaks up or idle_wake() is called, at most `max_us`; 0: does not wait. */
void idle_wait(struct idle *idle, unsigned max_us, struct idle_events *ret_events);

/* Stops watching everything, and forgets earlier calls of idle_wake(). */
void idle_reset(struct idle *idle);
