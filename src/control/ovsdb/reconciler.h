/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Brings the relays to what the rows ask for, and says each problem once.
 */

#include "control/ovsdb/ovsdb_monitor.h"
#include "control/ovsdb/ports.h"

struct reconciler {
	const char *sysfs;
	ovsdb_monitor_apply *apply;
	void *userdata;
	struct rows rows;
	struct port have[RELAYS_MAX];       /* what was applied, and not taken back */
	struct err not_removed[RELAYS_MAX]; /* the last failure to take it back that was logged */
};

/*
 * Applies the difference. `look_again` as in ports_from_rows(). Returns true where another try
 * later makes sense: something was not there yet, or an operation failed.
 */
bool reconciler_run(struct reconciler *reconciler, bool look_again);
