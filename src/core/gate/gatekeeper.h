/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The thread that serves all gates (gate.h).
 *
 * It also watches the eventfds by which workers call the guests, while they are in use
 * (call_watch.h). A full one would block the next worker that writes to it; an honest guest's is
 * never full. It is emptied, and its connection ends. So does the connection of a guest whose
 * memory has vanished (fault.h). A guest that was disconnected for one of these two reasons is not
 * let in again for a second; for the first one, up to 8 s if it is repeated. (In client mode, who
 * breaks the rules or refuses the features is left alone for a second, too.)
 */

#include "base/err.h"

struct gatekeeper;

/* Starts the thread, on the caller's CPUs. After bus_error_open(). Control thread. */
int gatekeeper_start(struct gatekeeper **ret_keeper, struct err *err);

/* Ends the thread. No gate may be open. Control thread. Returns NULL. */
struct gatekeeper *gatekeeper_stop(struct gatekeeper *keeper);
