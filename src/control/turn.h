/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Turns of the control thread's event loop. A device that starts, or has to answer, may take
 * seconds. Who goes through several of them asks after each whether his turn is over, and does the
 * rest in his next ones: all others have theirs in between, the watchdog's timer above all.
 */

#include <stdbool.h>

#include "base/clock.h"

#define TURN_NS 200000000

/* `began_ns`: by clock_monotonic_ns(). */
static inline bool turn_is_over(uint64_t began_ns)
{
	return clock_monotonic_ns() - began_ns >= TURN_NS;
}
