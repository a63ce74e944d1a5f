/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Turns of the control thread's event loop. A device that starts, or has to answer, may take
 * seconds. Who goes through several of them asks after each whether his turn is over, and does the
 * rest in his next ones: all others have theirs in between, the watchdog's timer above all.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/clock.h"

#define TURN_NS 200000000
#define TURN_TIMER_ACCURACY_US 1000 /* of timers that bring the next turn */

/* `began_ns`: by clock_monotonic_ns(). */
static inline bool turn_is_over(uint64_t began_ns)
{
	return clock_monotonic_ns() - began_ns >= TURN_NS;
}

/* Has a one-shot timer go off so long from now on, not from when the event loop woke: a turn may
 * have taken seconds since. */
static inline void turn_set_timer(sd_event_source *timer, uint64_t us)
{
	sd_event_source_set_time(timer, clock_monotonic_ns() / 1000 + us);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}
