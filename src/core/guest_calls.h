/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The eventfds by which workers call a guest, watched for as long as anybody may write to them.
 *
 * Theory. A worker that writes to one at its limit waits, whatever was asked for: the guest shares
 * the file and can undo it. So does the vhost thread, which waits for the worker's grace period,
 * and with it every VM. The guest may replace the eventfd or be gone by then, so it is no
 * connection's: it is watched from when its ring is loaded until no lane can be at the ring any
 * more (guest_rings.c).
 */

#include "core/gate.h"
#include "core/guest.h"

/* A ring of a session that is about to be used by workers. The vhost thread. */
void guest_calls_watch(struct guest *guest, struct guest_session *session, unsigned ring);

/* None of a session's rings is used any more. The vhost thread. */
void guest_calls_end(struct guest *guest, struct guest_session *session);

/* Empties those that are full. userdata: the guest. The gatekeeper's thread; does not wait. */
enum gate_calls guest_calls_relieve(void *userdata);
