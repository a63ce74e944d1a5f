/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The thread that serves all gates (gate.h).
 *
 * It also watches the eventfds by which workers call the guest, while they do (call_watch.h): one
 * that is full would block the next worker that writes to it, which an honest guest's never is. It
 * is emptied, and its connection ends. So does that of a guest whose memory has vanished
 * (fault.h). Who had to be thrown out for one of these two is not let in again for a second.
 */

#include "base/err.h"

struct gatekeeper;

/* Starts the thread, on the CPUs of the caller; fault_open() has been called. Control thread. */
int gatekeeper_start(struct gatekeeper **ret_keeper, struct err *err);

/* Ends the thread. No gate may be open. Control thread. Returns NULL. */
struct gatekeeper *gatekeeper_stop(struct gatekeeper *keeper);
