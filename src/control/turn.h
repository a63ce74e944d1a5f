/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Turns on the control thread's event loop. A device may take seconds to start or to answer. Code
 * that goes through several devices therefore checks after each one whether its turn is over, and
 * continues in its next turn. In between, all other event sources have theirs, above all the
 * watchdog's timer.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/clock.h"

#define TURN_NS 200000000
#define TURN_TIMER_ACCURACY_US 1000 /* of the timers that start the next turn */

/* `began_ns`: when the turn began, by clock_monotonic_ns(). */
static inline bool turn_is_over(uint64_t began_ns)
{
	return clock_monotonic_ns() - began_ns >= TURN_NS;
}

/*
 * Sets a one-shot timer relative to now. The time at which the event loop woke would not do: a turn
 * may have taken seconds since then.
 */
static inline void turn_set_timer(sd_event_source *timer, uint64_t us)
{
	sd_event_source_set_time(timer, clock_monotonic_ns() / 1000 + us);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}
