/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Port control by Open vSwitch's database: relays follow those rows of the table Interface that ask
 * for one. Theory of operation:
 *
 * The monitor keeps the rows as the server last reported them (rows.h), works out which device each
 * relay should have (ports.h), compares that with what it has applied itself, and applies the
 * difference. It repeats this after every change of the rows, after every kernel event that
 * announces a device, and after a delay if something failed. So the order in which rows, interfaces
 * and VFs appear does not matter, nor does what was missed while the database was away: after a
 * reconnection the complete state is compared in the same way. While there is no connection the
 * last known rows hold, and nothing is removed. Relays that the monitor has not added itself are
 * not touched.
 *
 * Everything runs on the event loop of the control thread. Only `apply` and reading sysfs may
 * block.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/op.h"
#include "control/ovsdb/stream.h"

struct ovsdb_monitor;

struct ovsdb_monitor_options {
	const char *endpoint; /* "unix:PATH", a path, "tcp:IP:PORT" or "ssl:IP:PORT" */
	const char *sysfs;    /* the root of sysfs; NULL: /sys */
	struct stream_credentials credentials; /* for ssl: endpoints */
	unsigned probe_ms; /* silence before the server is probed with an echo; 0: 5000 */
};

/*
 * Starts to follow the database, which need not be there yet: the monitor waits for it. Fails only
 * for bad options (-EINVAL) or lack of resources. The options' strings must stay.
 */
int ovsdb_monitor_new(struct ovsdb_monitor **ret_monitor, sd_event *event,
	const struct ovsdb_monitor_options *options, op_apply *apply, void *userdata,
	struct err *err);

/* True while the rows that the monitor knows are those of the database. */
bool ovsdb_monitor_is_connected(const struct ovsdb_monitor *monitor);

/* Stops following; the relays stay as they are. Must not be called from within apply(). */
struct ovsdb_monitor *ovsdb_monitor_free(struct ovsdb_monitor *monitor);
