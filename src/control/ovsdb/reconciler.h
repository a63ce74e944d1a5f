/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Brings the relays to the state that the rows ask for, and logs each problem once, within the
 * limit. Control thread.
 */

#include "base/log.h"
#include "control/ovsdb/ports.h"
#include "host/usable.h"

/*
 * The last addition to a relay, if it has failed. The next one may take as many seconds, so it
 * waits longer each time, unless the device has changed.
 */
struct failed_addition {
	struct device_id device;        /* "": none */
	struct host_device_state state; /* of the device, before it was tried */
	unsigned delay_ms;              /* from the failure until it is due */
	uint64_t due_ns;
	struct err err;
};

struct reconciler {
	const char *sysfs;
	op_apply *apply;
	void *userdata;
	struct rows rows;
	struct port have[RELAYS_MAX];          /* applied and not removed since */
	struct err removal_logged[RELAYS_MAX]; /* the last failure to remove it that was logged */
	struct failed_addition failed_additions[RELAYS_MAX];

	/* The plan: */
	struct port want[RELAYS_MAX];
	struct port_step steps[PORT_STEPS_MAX];
	unsigned n_steps, n_taken;
	bool failed;     /* one of the steps taken so far */
	uint64_t due_ns; /* when the first addition that has failed is due; UINT64_MAX: none */
	unsigned first;  /* where the next plan begins: behind the relay of the last step */
	unsigned first_to_log; /* index of the row behind the one whose problem was logged last */
	unsigned retry_ms;     /* delay after the last plan that left something to do; 0: none */
	struct log_limit log_limit; /* whoever writes the rows can cause problems without end */
};

/*
 * Plans the steps from what the relays have to what the rows ask for, replacing an earlier plan.
 * Needed whenever the rows have changed. `look_again`: see ports_from_rows().
 */
void reconciler_plan(struct reconciler *reconciler, bool look_again);

/*
 * Takes steps of the plan for one turn (turn.h). An addition that has failed before is left out
 * until it is due, or its device has changed. Returns in how many milliseconds to go on: 0: with
 * this plan, in the next turn; UINT_MAX: once something has changed; else with a new plan, since
 * something was not there yet, a step failed, or a line waits.
 */
unsigned reconciler_run(struct reconciler *reconciler);
