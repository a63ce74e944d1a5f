/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The metrics endpoint: GET /metrics over HTTP/1.1, one request per connection, on a UNIX socket
 * (mode 0660) or the loopback interface. Clients that accept OpenMetrics get it; all others get
 * Prometheus' text format. The metrics are at most a second old: within that second all clients get
 * the same snapshot, so more clients do not make the devices be asked more often. Control thread,
 * which may wait for the devices; what clients can make it keep is bounded (local_server.h).
 */

#include <systemd/sd-event.h>

#include "base/device_counters.h"
#include "base/err.h"
#include "control/stats.h"

struct metrics_service;
struct ovsdb_monitor;

struct metrics_source {
	const char *version; /* of the daemon; both strings must stay */
	const char *dpdk;
	stats_snapshot *snapshot;
	/* Fills in the device counters, by relay id; see forwarder_read_devices(). */
	void (*devices)(void *userdata, struct device_counters ret_counters[static RELAYS_MAX]);
	void *userdata;
	const struct ovsdb_monitor *ovsdb; /* NULL: no database is followed */
};

/* `endpoint` is "ipc:///path" or "http://127.0.0.1:port". */
int metrics_service_new(struct metrics_service **ret_service, sd_event *event, const char *endpoint,
	const struct metrics_source *source, struct err *err);

struct metrics_service *metrics_service_free(struct metrics_service *service);
