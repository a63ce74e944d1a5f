/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A device that has come is still being set up: by its PF, whose driver (igb's) resets it once
 * more, and by whoever made it, who sets its MAC. So it is opened only after so much time without
 * further events of the host. If they never cease, for instance on a host where containers come and
 * go, the wait ends after SETTLE_MAX_US.
 */

#include "control/turn.h"

#define SETTLE_US 1000000
#define SETTLE_MAX_US 5000000

/*
 * After an event of the host: puts the one-shot timer off once more, unless the wait, which began
 * at `since_us` (CLOCK_MONOTONIC), would then last longer than SETTLE_MAX_US.
 */
static inline void settle_timer(sd_event_source *timer, uint64_t since_us)
{
	if (clock_monotonic_ns() / 1000 - since_us < SETTLE_MAX_US - SETTLE_US)
		turn_set_timer(timer, SETTLE_US);
}
