/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Feeds systemd's watchdog a few times per WatchdogSec, as long as the event loop turns and every
 * worker finishes its iterations. If one of them hangs, the watchdog is not fed and systemd
 * restarts the daemon.
 *
 * All functions: control thread.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/forwarder.h"

struct watchdog;

/*
 * Starts to feed the watchdog. `forwarder` and `event` must outlive it. *ret_watchdog is NULL if
 * nobody asks for a watchdog (WATCHDOG_USEC, see sd_watchdog_enabled(3)).
 */
int watchdog_new(struct watchdog **ret_watchdog, struct forwarder *forwarder, sd_event *event,
	struct err *err);
struct watchdog *watchdog_free(struct watchdog *watchdog);
