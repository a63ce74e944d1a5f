/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Port control by Open vSwitch's database: relays follow the rows of the table Interface that ask
 * for one. Theory of operation:
 *
 * The monitor keeps the rows as the server last told them (rows.h), works out which device each
 * relay should have (ports.h), compares that with what it has applied itself, and applies the
 * difference. This is done anew after every change of the rows, after every announcement of the
 * kernel that a device came, and after a while where something failed. So it does not matter in
 * which order rows, interfaces and VFs come, nor what was missed while the database was away: the
 * complete state after a reconnection is compared like any other. While there is no connection the
 * last known rows hold, and nothing is removed. Relays that it has not added itself are not
 * touched.
 *
 * Everything runs on the event loop of the control thread; nothing blocks but `apply` and the
 * reading of sysfs.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/op.h"
#include "control/ovsdb/stream.h"

struct ovsdb_monitor;

struct ovsdb_monitor_options {
	const char *endpoint; /* "unix:PATH", a path, "tcp:IP:PORT" or "ssl:IP:PORT" */
	const char *sysfs;    /* the root of sysfs; NULL: /sys */
	struct stream_credentials credentials; /* of ssl: */
	unsigned probe_ms; /* silence after which the server is asked for a sign of life; 0: 5000 */
};

/* Does the operation before it returns, and fills *ret_result. */
typedef void ovsdb_monitor_apply(void *userdata, const struct op *op, struct op_result *ret_result);

/*
 * Starts to follow the database. It need not be there: it is waited for. Fails only for bad options
 * (-EINVAL) and for want of resources. Strings are copied.
 */
int ovsdb_monitor_new(struct ovsdb_monitor **ret_monitor, sd_event *event,
	const struct ovsdb_monitor_options *options, ovsdb_monitor_apply *apply, void *userdata,
	struct err *err);

/* Stops following. The relays stay as they are. Not from within apply(). */
struct ovsdb_monitor *ovsdb_monitor_free(struct ovsdb_monitor *monitor);
