/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A guest's memory, mapped by VFIO for the device that sends its packets without a copy. All of it
 * is, so that the host cannot swap it out meanwhile: VFIO pins it.
 *
 * Theory. Devices are the control thread's, memory is the vhost thread's. The vhost thread says
 * when memory is there and will stay (allow), and takes that back before the library may change
 * anything (forbid), when no worker uses the rings any more. In between, the control thread maps
 * it, part by part: the kernel takes its time to pin much memory, and others have their turn
 * between two parts. Memory that turns out to be the same stays mapped: a guest that resets its
 * driver costs nothing. Where the device has not sent all of it, the mapping of memory that goes is
 * left until the control thread has made the device let go.
 */

#include <stdbool.h>

#include "base/err.h"

struct guest;
struct guest_session;

enum guest_dma {
	GUEST_DMA_NOTHING, /* there was nothing to do */
	GUEST_DMA_PART,    /* there is more */
	GUEST_DMA_DONE,    /* that was the last part */
};

/*
 * Maps a part of the memory of the session, if there is one and it is not mapped, for its device.
 * Or a negative errno, which is told once for a session and a device; packets are copied then.
 * Control thread.
 */
int guest_dma_map(struct guest *guest, struct err *err);

/*
 * The device reads nothing of the guest's memory any more, of whichever session. No lane may run.
 * Control thread.
 */
void guest_dma_unmap(struct guest *guest);

/*
 * The session's memory is what it says; what it was before is mapped no more. `sent`: the device
 * reads nothing of that. vhost thread.
 */
void guest_dma_follow(struct guest *guest, struct guest_session *session, bool sent);

/* The memory stays what it was followed to: it may be mapped. vhost thread. */
void guest_dma_allow(struct guest *guest, struct guest_session *session);

/* The library may be about to change the memory. vhost thread. */
void guest_dma_forbid(struct guest *guest, struct guest_session *session);

/* The library is about to unmap the memory. `sent` as above. vhost thread. */
void guest_dma_end(struct guest *guest, struct guest_session *session, bool sent);
