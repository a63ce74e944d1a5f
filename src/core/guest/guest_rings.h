/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Who uses a session's rings: lanes, between two messages of the vhost-user protocol, or the vhost
 * library, while it handles one.
 *
 * Theory. Before the library handles a message that may change memory, rings, eventfds or the log,
 * the session is *paused*: lanes leave its rings alone, keep the packets that they hold and do not
 * read on. After a grace period, and when the device has sent what was lent, the library is told
 * how far each ring has got, because GET_VRING_BASE asks the library for that. Afterwards
 * everything is read anew from the library. The library may hold its ring locks meanwhile: lanes
 * never take them.
 *
 * A frontend replaces the eventfd by which its guest is called at any time (QEMU: when the guest
 * masks an interrupt), and no longer listens to the old one while workers still write to it. So the
 * guest is called once by the new one.
 *
 * A device that does not send is not waited for longer than LOANS_SETTLE_MS. The guest then gets
 * its buffers back all the same, and the control thread restarts the device (relay_guest.c).
 *
 * Which rings are started and enabled is noted from the messages themselves: the library only tells
 * of rings that are both.
 *
 * All functions: the vhost thread. guest_rings_end() also the control thread, while it closes the
 * socket.
 */

#include <stdint.h>

#include "core/gate/vhost_user.h"

struct guest;
struct guest_session;

/*
 * The head of a message as the library hands it to its external handlers, which must keep this
 * layout.
 */
struct guest_message {
	struct vhost_user_header header;
	uint64_t number; /* most payloads are a number or begin with two of 32 bits */
} __attribute__((packed));

/* For a new connection: no ring is started or enabled. */
void guest_rings_reset(struct guest_session *session);

/* To be called before and after the library handles a message of the session's connection. */
void guest_rings_before(
	struct guest *guest, struct guest_session *session, const struct guest_message *message);
void guest_rings_after(
	struct guest *guest, struct guest_session *session, const struct guest_message *message);

/*
 * Makes the session's rings what the library says they are. The session is about to be published,
 * or to be resumed.
 */
void guest_rings_load(struct guest *guest, struct guest_session *session);

/*
 * Workers have been told to leave the rings alone: waits for a grace period and takes the rings
 * back. `why` is for the log, as in epoch_synchronize().
 */
void guest_rings_end(struct guest *guest, struct guest_session *session, const char *why);

/* The library is about to unmap the memory: the connection has ended or is being reset. */
void guest_rings_forget_memory(struct guest *guest, struct guest_session *session);
