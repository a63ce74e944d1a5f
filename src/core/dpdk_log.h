/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * DPDK's log lines become ours. While an operation runs whose failure we report ourselves, DPDK's
 * errors are captured instead, and the last one completes our sentence.
 */

#include "base/err.h"

/* From now on DPDK logs through log_at(). Before rte_eal_init(). */
int dpdk_log_open(int max_severity, struct err *err);
void dpdk_log_close(void);

/*
 * Between the two, warnings and errors of DPDK are kept and written as debug messages only. The end
 * returns the last of them without its newline, "" for none, valid until the next start.
 * Control thread.
 */
void dpdk_log_capture_start(void);
const char *dpdk_log_capture_end(void);
