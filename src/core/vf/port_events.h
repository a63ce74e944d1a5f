/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What DPDK reports about devices, on its interrupt thread or another, passed to the control
 * thread: the kernel wants a device back (a VFIO request: its driver is being unbound, or its PF
 * takes it away); a driver has lost its device or must have it opened anew (its PF was reset, or it
 * has stopped answering); a link has changed.
 */

#include <stdbool.h>

#include "base/device_id.h"
#include "base/err.h"

struct port_events;

enum port_event_kind {
	PORT_EVENT_LOST, /* close it, soon: the kernel may be waiting */
	PORT_EVENT_LINK, /* its link went up or down */
};

struct port_event {
	enum port_event_kind kind;
	const char *why;               /* the device was lost; a literal, for the log */
	char device[DEVICE_NAME_SIZE]; /* as in struct device_id */
};

/* After eal_start(), once. Control thread. */
int port_events_open(struct port_events **ret_events, struct err *err);

/* Control thread; waits for a callback that is running. Returns NULL. */
struct port_events *port_events_close(struct port_events *events);

/*
 * Runs the timers of drivers that check their devices in one (ENA's), once a second. To be called
 * as often, by the thread that starts the devices: the control thread.
 */
void port_events_run_timers(void);

/* A descriptor that is readable when there is something to take. */
int port_events_fd(const struct port_events *events);

/* Takes the oldest event; false if there is none. Control thread. */
bool port_events_next(struct port_events *events, struct port_event *ret_event);
