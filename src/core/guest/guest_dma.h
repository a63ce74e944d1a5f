/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A guest's memory, mapped by VFIO for the device that sends its packets without a copy. All of the
 * memory is mapped. VFIO pins it, so the host cannot swap it out meanwhile.
 *
 * Theory. The control thread has the devices, the vhost thread has the memory. The vhost thread
 * says when memory is there and will stay. It takes that back before the library may change
 * anything, when no worker uses the rings any more. In between, the control thread maps the memory
 * part by part: the kernel needs its time to pin much memory, and others get their turn between two
 * parts. Memory that turns out to be unchanged stays mapped, so a guest that resets its driver
 * costs nothing. If the device has not sent everything from memory that goes away, the mapping is
 * left in place until the control thread has made the device let go.
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
 * Maps the next part of the session's memory for the device, if there is a session and its memory
 * is not fully mapped. Returns an enum guest_dma, or a negative errno, which is reported once per
 * session and device; packets are then copied. Control thread.
 */
int guest_dma_map(struct guest *guest, struct err *err);

/*
 * The device no longer reads memory of the guest, of whichever session: unmaps all of it. No lane
 * may run. Control thread.
 */
void guest_dma_unmap(struct guest *guest);

/*
 * The memory in session->memory is now the session's. If it has changed, what was mapped before is
 * unmapped. `sent`: the device no longer reads the old memory. The vhost thread.
 */
void guest_dma_follow(struct guest *guest, struct guest_session *session, bool sent);

/*
 * On: the memory will stay as guest_dma_follow() has last seen it, and may be mapped. Off: the
 * library may be about to change it. The vhost thread.
 */
void guest_dma_allow(struct guest *guest, struct guest_session *session, bool on);

/* The library is about to unmap the memory. `sent`: as above. The vhost thread. */
void guest_dma_end(struct guest *guest, struct guest_session *session, bool sent);
