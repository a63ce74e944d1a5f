/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The stats endpoint. A request with a delay gets rates computed from two snapshots of its own,
 * taken `delay` milliseconds apart; other requests are served in between. At most STATS_DELAYED_MAX
 * requests wait at a time: one more makes the oldest be answered at once, with the rates so far.
 * Control thread.
 */

#include "control/stats.h"
#include "control/zmq/zmq_service.h"

#define STATS_DELAYED_MAX 64

struct stats_service;

int stats_service_new(struct stats_service **ret_service, const struct zmq_endpoint *endpoint,
	stats_snapshot *snapshot, void *userdata, struct err *err);

/* Requests that are still waiting are answered, with the rates so far: `snapshot` is called. */
struct stats_service *stats_service_free(struct stats_service *service);
