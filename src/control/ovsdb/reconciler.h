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

	/* The plan: */
	struct port want[RELAYS_MAX];
	struct port_step steps[PORT_STEPS_MAX];
	unsigned n_steps, n_taken;
	bool failed;    /* one of those taken */
	unsigned first; /* where the next plan begins: behind the relay of the last step taken */
};

enum reconciler_verdict {
	RECONCILER_DONE,
	RECONCILER_MORE,  /* to do, in the next turn */
	RECONCILER_RETRY, /* later, by a new plan: something was not there yet, or a step failed */
};

/*
 * Plans the way from what the relays have to what the rows ask for, in place of an earlier plan:
 * needed whenever the rows have changed. `look_again` as in ports_from_rows().
 */
void reconciler_plan(struct reconciler *reconciler, bool look_again);

/* Takes steps of the plan, for a turn (turn.h). */
enum reconciler_verdict reconciler_run(struct reconciler *reconciler);
