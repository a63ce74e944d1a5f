/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The eventfds by which a guest is called, watched as long as anybody may write to them.
 *
 * Theory. Whoever writes to a full eventfd blocks, even though we made it non-blocking: the guest
 * shares the file and can undo that. It is a worker, or the vhost thread itself (guest_rings.h),
 * which also waits for the worker's grace period; and with the vhost thread every VM waits. By that
 * time the guest may have replaced the eventfd, or be gone. So an eventfd is not watched on behalf
 * of a connection, but from when its ring is loaded until no lane can be using the ring any more
 * (guest_rings.c).
 */

#include "core/gate/gate.h"
#include "core/guest/guest.h"

/* A ring of a session is about to be used by workers. The vhost thread. */
void guest_calls_watch(struct guest *guest, struct guest_session *session, unsigned ring);

/* None of a session's rings is used any more. The vhost thread. */
void guest_calls_end(struct guest *guest, struct guest_session *session);

/* Empties those that are full. userdata: the guest. The gatekeeper's thread; does not wait. */
enum gate_calls guest_calls_relieve(void *userdata);
