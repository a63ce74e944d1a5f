/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Shared by forwarder.c (life cycle) and apply.c (operations). */

#include "control/device_watch.h"
#include "control/forwarder.h"
#include "control/placement.h"
#include "control/relay.h"

struct forwarder {
	const struct config *config;
	struct workers *workers;
	struct placement placement;
	sd_event_source *placement_timer;
	bool no_descriptors;   /* none is left, and this has been logged */
	unsigned no_sockets_s; /* seconds for which sockets have been gone; 0: none are */
	struct rte_mempool *discard_pool;
	struct relay_env env;
	struct relay relays[RELAYS_MAX];
	int guest_event_fd; /* written by on_guest_changed(), read by the control thread */
	sd_event_source *guest_event;
	/* The relay that had the last turn in: mapping a part of its VM's memory, */
	unsigned mapped_last;
	unsigned followed_last; /* following its guest, */
	unsigned read_last;     /* reading its device's counters */
};
