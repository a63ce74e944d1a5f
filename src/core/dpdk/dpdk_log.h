/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Passes DPDK's log lines on to our log. During an operation whose failure we report ourselves,
 * DPDK's errors are captured instead, and the first one completes our message: DPDK reports from
 * the inside out, so the driver speaks first, and the later lines say less.
 */

#include "base/err.h"

/*
 * From now on, until the process ends, DPDK logs through log_at(). max_severity: 0..7. Once, before
 * rte_eal_init(). Control thread.
 */
int dpdk_log_open(int max_severity, struct err *err);

/*
 * Between the two calls, what this thread has DPDK warn of is kept and written as debug messages
 * only. The second call returns the first of these lines, warning or error, without its newline, or
 * "" if there was none; the text stays valid until the thread's next start. Any thread.
 */
void dpdk_log_capture_start(void);
const char *dpdk_log_capture_end(void);
