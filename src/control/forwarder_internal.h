/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Shared by forwarder.c (life cycle), apply.c (operations) and upkeep.c (once a second). */

#include "control/device_watch.h"
#include "control/forwarder.h"
#include "control/placement.h"
#include "control/relay.h"

struct forwarder {
	const struct config *config;
	struct workers *workers;
	struct placement placement;
	struct rte_mempool *discard_pool;
	struct relay_env env;
	struct relay relays[RELAYS_MAX];
	int guest_event_fd; /* written by on_guest_changed(), read by the control thread */
	sd_event_source *guest_event;
	/* The relay that had the last turn in: mapping a part of its VM's memory, */
	unsigned mapped_last;
	unsigned followed_last; /* following its guest, */
	unsigned read_last;     /* reading its device's counters */
	/* Upkeep: */
	sd_event_source *upkeep_timer;
	bool no_descriptors;   /* none is left, and this has been logged */
	unsigned no_sockets_s; /* seconds for which sockets have been gone; 0: none are */
};

/* Has the upkeep done once a second, until the timer is freed. */
int upkeep_start(struct forwarder *forwarder, sd_event *event, struct err *err);
