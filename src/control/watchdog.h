/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * systemd's watchdog: it is told that all is well, a few times in each WatchdogSec, as long as the
 * event loop turns and every worker finishes its iterations. Where one of them hangs it is told
 * nothing, and restarts the daemon.
 *
 * All functions: control thread.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/forwarder.h"

struct watchdog;

/*
 * Starts it. `forwarder` and `event` must outlive it. Where nobody asks for a watchdog
 * (WATCHDOG_USEC, sd_watchdog_enabled(3)) *ret_watchdog is NULL.
 */
int watchdog_new(struct watchdog **ret_watchdog, struct forwarder *forwarder, sd_event *event,
	struct err *err);
struct watchdog *watchdog_free(struct watchdog *watchdog);
