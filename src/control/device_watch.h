/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Devices that come and go while relays have them. What the kernel and DPDK announce is compared
 * with what the relays have, and members are lost and resumed accordingly. A function that was
 * removed and created again is bound again if the configuration says so (VIRTIOFWD_BIND_VFIO_PCI).
 *
 * All functions: control thread.
 */

#include <systemd/sd-event.h>

#include "config/config.h"
#include "control/relay.h"

struct device_watch;

/* `relays` (RELAYS_MAX of them) and `config` must outlive it. */
int device_watch_new(struct device_watch **ret_watch, struct relay *relays,
	const struct config *config, sd_event *event, struct err *err);

/* Asks it to check soon the devices that are away, as it does by itself after an event. */
void device_watch_ask(struct device_watch *watch);

/* Returns NULL. */
struct device_watch *device_watch_free(struct device_watch *watch);
