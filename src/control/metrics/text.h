/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Statistics in the text formats of Prometheus and OpenMetrics. Pure; any thread. */

#include <stdint.h>
#include <stdio.h>

#include "base/device_counters.h"
#include "control/stats.h"

struct metrics_view {
	const char *version; /* of the daemon */
	const char *dpdk;
	uint64_t start_time_s; /* CLOCK_REALTIME */
	bool follows_ovsdb;
	bool ovsdb_connected; /* if so */
	struct stats_view stats;
	struct device_counters devices[RELAYS_MAX]; /* by relay id */
	uint64_t worker_idle_ns[WORKERS_MAX];       /* in the order of stats.workers */
};

enum metrics_format {
	METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
	METRICS_PROMETHEUS,  /* Prometheus' text format 0.0.4 */
	METRICS_FORMATS
};

void metrics_write(FILE *out, const struct metrics_view *view, enum metrics_format format);
