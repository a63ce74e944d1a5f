/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Passes DPDK's log lines on to our log. During an operation whose failure we report ourselves,
 * DPDK's errors are captured instead, and the first one completes our message: DPDK reports from
 * the inside out, so the driver speaks first, and the later lines say less.
 */

#include "base/err.h"

/*
 * For mkdtemp(): in such a directory the vhost library has a relay's socket, whose name is the
 * relay's id. The library's lines name the socket, so they are logged as lines about that relay.
 */
#define DPDK_LOG_VHOST_DIR "/tmp/virtio-forwarder.XXXXXX"

/*
 * From now on, until the process ends, DPDK logs through log_event_at(): about each relay 20 lines
 * at once, then one a second; about everything else 50 at once. max_severity: 0..7. Once, before
 * rte_eal_init(). Control thread.
 */
int dpdk_log_open(int max_severity, struct err *err);

/* Changes what dpdk_log_open() has set: DPDK's debug messages are for 7 only. Any thread. */
void dpdk_log_set_level(int max_severity);

/*
 * Between the two calls, what this thread has DPDK warn of is kept and written as debug messages
 * only, unless it is critical: after that DPDK aborts the process. The second call returns the
 * first of these lines, warning or error, without its newline, or
 * "" if there was none; the text stays valid until the thread's next start. Any thread.
 */
void dpdk_log_capture_start(void);
const char *dpdk_log_capture_end(void);
