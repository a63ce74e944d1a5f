/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What DPDK says of devices, taken from its interrupt thread to the control thread: that the kernel
 * wants one back (VFIO's request: its driver is being unbound, its PF takes it away), that a driver
 * has lost its device or must have it opened anew (its PF was reset), and that a link has changed.
 */

#include <stdbool.h>

#include "base/device_id.h"
#include "base/err.h"

struct port_events;

enum port_event_kind {
	PORT_EVENT_LOST, /* close it, soon: the kernel may be waiting for that */
	PORT_EVENT_LINK, /* its link went up or down */
};

struct port_event {
	enum port_event_kind kind;
	char device[DEVICE_NAME_SIZE]; /* as struct device_id's name */
};

/* After the EAL's start, once. Control thread. */
int port_events_open(struct port_events **ret_events, struct err *err);

/* Before the EAL's end. Control thread; waits for a callback that is running. Returns NULL. */
struct port_events *port_events_close(struct port_events *events);

/* Readable when there is something to take. */
int port_events_fd(const struct port_events *events);

/* Takes the oldest; false where there is none. Control thread. */
bool port_events_next(struct port_events *events, struct port_event *ret_event);
