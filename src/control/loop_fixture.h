/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* For tests with an event loop. */

#include <systemd/sd-event.h>

#include "base/clock.h"

/* What is waited for comes at once; this ends a test that has failed. */
#define WAIT_NS UINT64_C(20000000000)

/* Runs the loop until the condition, looked at after each turn, holds; else the test fails. */
#define run_until(event, condition)                                      \
	do {                                                             \
		const uint64_t end_ns_ = clock_monotonic_ns() + WAIT_NS; \
		while (!(condition)) {                                   \
			if (clock_monotonic_ns() > end_ns_)              \
				fail_msg("in vain: %s", #condition);     \
			assert_true(sd_event_run(event, 10000) >= 0);    \
		}                                                        \
	} while (0)
