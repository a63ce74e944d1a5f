/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a lane with nothing to do is left alone until its source speaks up: the guest by kicking, the
 * device by an interrupt or, where its driver receives from sockets, by those becoming readable.
 * The worker asks for that (idle_arm), polls once more, since a packet may have come before it was
 * asked, and then need not poll the lane until idle_wait() names it.
 *
 * What is watched once stays watched, edge-triggered and at next to no cost, since the sources are
 * told to be silent while the lane is polled. idle_reset() forgets all of it: after a change of the
 * plan, and when a guest has changed, whose eventfds may be others by now.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/lane.h"

#define IDLE_EVENTS_MAX 16 /* at once; the others come with the next call */

struct idle {
	int epoll_fd;
	int wake_fd; /* eventfd */
};

/* Control thread. 0 or a negative errno. */
int idle_init(struct idle *idle);
void idle_fini(struct idle *idle);

/* Makes the worker's next idle_wait() return `called`. Any thread. */
void idle_wake(struct idle *idle);

/* The rest: the worker. */

/*
 * True where this lane's source could wake a sleeper; not while packets wait for room elsewhere or
 * the device has still to send what was lent, nor where its own protocol has to be kept going.
 */
bool idle_vf_to_vm_can_wake(const struct vf_to_vm *lane);
bool idle_vm_to_vf_can_wake(const struct vm_to_vf *lane);

/* Asks the lane's source to wake this worker (on), or any worker not any more (off). */
void idle_vf_to_vm_arm(struct idle *idle, struct vf_to_vm *lane, bool on);
void idle_vm_to_vf_arm(struct idle *idle, struct vm_to_vf *lane, bool on);

struct idle_events {
	bool called; /* by idle_wake() */
	unsigned n;
	const void *sources[IDLE_EVENTS_MAX]; /* a lane, or the device of some; maybe no more */
};

/* Waits until something speaks up, or for so long; 0: not at all. */
void idle_wait(struct idle *idle, unsigned max_us, struct idle_events *ret_events);

/* Watches nothing any more, and forgets calls so far. */
void idle_reset(struct idle *idle);
