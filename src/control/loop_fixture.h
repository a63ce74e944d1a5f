/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* For tests with an event loop. */

#include <systemd/sd-event.h>

#include "base/clock.h"

/* Only ends a test that has failed: what tests wait for comes at once. */
#define WAIT_NS UINT64_C(20000000000)

/*
 * Runs the loop until the condition holds, checking it after each iteration; fails the test after
 * WAIT_NS.
 */
#define run_until(event, condition)                                      \
	do {                                                             \
		const uint64_t end_ns_ = clock_monotonic_ns() + WAIT_NS; \
		while (!(condition)) {                                   \
			if (clock_monotonic_ns() > end_ns_)              \
				fail_msg("in vain: %s", #condition);     \
			assert_true(sd_event_run(event, 10000) >= 0);    \
		}                                                        \
	} while (0)
