/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What forwarder.c (life) and apply.c (operations) share. */

#include "control/device_watch.h"
#include "control/forwarder.h"
#include "control/placement.h"
#include "control/relay.h"

struct forwarder {
	const struct config *config;
	struct workers *workers;
	struct placement placement;
	sd_event_source *placement_timer;
	struct rte_mempool *discard_pool;
	struct relay_env env;
	struct relay relays[RELAYS_MAX];
	int guest_event_fd; /* eventfd: written by the vhost thread, read by the control thread */
	sd_event_source *guest_event;
	unsigned mapped_last;   /* the relay whose VM has had a part of its memory mapped; */
	unsigned followed_last; /* whose guest has been followed; */
	unsigned read_last;     /* whose device has been asked for its counters */
	struct device_watch *device_watch;
};
