/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Shared by relay.c (lanes and device), relay_guest.c (socket and VM), relay_stats.c
 * (statistics) and, to log, device_watch.c.
 */

#include "base/log.h"
#include "control/relay.h"

/* Logs about a relay, with its present device and socket. `name_`: of the event, or NULL. */
#define log_relay_at(severity, relay, name_, ...)                     \
	log_event_at((severity),                                      \
		&(struct log_event){.name = (name_),                  \
			.relay = (int)(relay)->id,                    \
			.device = device_spec_name(&(relay)->device), \
			.socket = relay_socket(relay)},               \
		__VA_ARGS__)

#define log_relay_event(relay, name_, ...) log_relay_at(LOG_INFO, relay, name_, __VA_ARGS__)
#define log_relay_error(relay, ...) log_relay_at(LOG_ERR, relay, NULL, __VA_ARGS__)
#define log_relay_warning(relay, ...) log_relay_at(LOG_WARNING, relay, NULL, __VA_ARGS__)
#define log_relay_info(relay, ...) log_relay_at(LOG_INFO, relay, NULL, __VA_ARGS__)

static inline struct lane *relay_lane(struct relay *relay, enum direction direction, unsigned slice)
{
	return direction == VF_TO_VM ? &relay->vf_to_vm[slice].lane : &relay->vm_to_vf[slice].lane;
}

/*
 * The NUMA node of the relay's packets: that of the VM's memory, or else of the device's pool. -1:
 * unknown.
 */
int relay_node(const struct relay *relay);

/* Takes all lanes from the workers. Afterwards the relay's ends may be exchanged. */
void relay_retract_lanes(struct relay *relay);

/*
 * Drops what the lanes hold, which no worker has, and logs which packets the device has refused so
 * far: before the device or the VM of these packets goes.
 */
void relay_drain_lanes(struct relay *relay);

/* Logs how many packets the device has refused, unless that is logged already. */
void relay_say_refused(struct relay *relay);

/* Grants the lanes that have something to poll to workers, with the present ends. */
void relay_grant_lanes(struct relay *relay);

/* Sets up the device's RSS table for the queues that the guest has now, unless it is so already. */
void relay_spread(struct relay *relay);

/*
 * Moves the packet pool of a device, on which no lane runs, to the node of the VM's memory, unless
 * it is there. If that is impossible, a warning says so and the pool stays. Fails if the device
 * could not be started again.
 */
int relay_move_pool(struct relay *relay, struct vf *vf, int node, struct err *err);

/*
 * Closes a device that could not be started again (`why`), with all its members; they are away from
 * now on, and looked for. The lanes are retracted and remain so.
 */
void relay_give_up_device(struct relay *relay, const struct err *why);
