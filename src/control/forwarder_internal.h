/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Shared by forwarder.c (life cycle), apply.c (operations) and upkeep.c (once a second). */

#include "base/err.h"
#include "control/device_watch.h"
#include "control/forwarder.h"
#include "control/placement.h"
#include "control/relay.h"

struct forwarder {
	const struct config *config;
	struct placement placement;
	struct relay_env env;
	struct relay relays[RELAYS_MAX];
	int guest_event_fd; /* written by wake_control(), read by the control thread */
	sd_event_source *guest_event;
	/* Relays that had the last turn: */
	unsigned mapped_last;   /* in mapping a part of a VM's memory */
	unsigned followed_last; /* in following a guest */
	unsigned read_last;     /* in reading a device's counters */
	/* upkeep.c's: */
	sd_event_source *upkeep_timer;
	bool no_descriptors;       /* none is left, and this has been logged */
	unsigned no_sockets_s;     /* seconds for which sockets have been gone; 0: none are */
	struct err no_sockets_why; /* what has kept them from being made again, as it was logged */
};

/* Starts the timer of what is done once a second; forwarder_free() frees it. */
int upkeep_start(struct forwarder *forwarder, sd_event *event, struct err *err);
