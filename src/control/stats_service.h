/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The stats endpoint. Rates are taken between two snapshots, `delay` milliseconds apart and of this
 * request alone; meanwhile other requests are served. At most STATS_DELAYED_MAX requests wait at a
 * time: one more, and the oldest is answered with the rates so far. Control thread.
 */

#include "control/stats.h"
#include "control/zmq_service.h"

#define STATS_DELAYED_MAX 64

struct stats_service;

/* Fills in what there is. Must be quick. */
typedef void stats_snapshot(void *userdata, struct stats_view *ret_view);

int stats_service_new(struct stats_service **ret_service, const struct zmq_endpoint *endpoint,
	stats_snapshot *snapshot, void *userdata, struct err *err);

/* Requests that still wait get no answer. */
struct stats_service *stats_service_free(struct stats_service *service);
