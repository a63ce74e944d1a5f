/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Who uses a session's rings: lanes, between two messages of the vhost-user protocol, or the vhost
 * library, while it handles one.
 *
 * Theory. Before the library handles a message that may change memory, rings, descriptors or the
 * log, the session is *paused*: lanes leave its rings alone, though they keep what they hold and do
 * not read on. After a grace period, and when the device has sent what was lent, the library is
 * told how far each ring has got, for it is asked for that by GET_VRING_BASE. Afterwards all is
 * read anew from the library. The library may hold its ring locks meanwhile: lanes never take them.
 *
 * A device that does not send is not waited for longer than SETTLE_MS: the guest gets its buffers
 * back all the same, and the control thread restarts the device (relay.c).
 *
 * Which rings are started and enabled is noted from the messages themselves: the library tells only
 * of those that are both.
 *
 * All functions: vhost thread.
 */

#include <stdint.h>

struct guest;
struct guest_session;

/* The head of a message as the library hands it to its external handlers; it is kept for them. */
struct guest_message {
	uint32_t request; /* enum vhost_user_request */
	uint32_t flags;
	uint32_t payload_bytes;
	uint64_t number; /* most payloads are one, or begin with two of 32 bits */
} __attribute__((packed));

/* For a new connection: no ring is started or enabled. */
void guest_rings_reset(struct guest_session *session);

/* Around the library's handling of a message of the session's connection. */
void guest_rings_before(
	struct guest *guest, struct guest_session *session, const struct guest_message *message);
void guest_rings_after(
	struct guest *guest, struct guest_session *session, const struct guest_message *message);

/* The session is about to be published: its rings are what the library says. */
void guest_rings_load(struct guest *guest, struct guest_session *session);

/* Workers are told to leave the rings alone: waits until they do, and takes the rings back. */
void guest_rings_end(struct guest *guest, struct guest_session *session, const char *why);

/* The library is about to unmap the memory: the connection has ended, or is reset. */
void guest_rings_forget_memory(struct guest *guest, struct guest_session *session);
