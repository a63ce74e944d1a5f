/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which device each relay should have, and the steps that lead there from what it has. Plain
 * functions of the rows, of sysfs and of the present state; they change nothing but what the rows
 * keep of their results.
 */

#include "base/device_id.h"
#include "base/limits.h"
#include "control/op.h"
#include "control/ovsdb/rows.h"

/* What one relay has, or should have. */
struct port {
	bool set;
	struct device_id device;
	char ident[IDENT_SIZE];
	char interface[ROW_NAME_SIZE]; /* the row it comes from */
};

/*
 * Works out ret_want[relay id] from the rows. A row without a usable answer gets no port; its
 * `problem` and `retry` are set. If several rows claim the same relay or device, the row that has
 * it now (`have`) keeps it; otherwise the first by name gets it. A VF that is away keeps its relay.
 * `look_again`: the host has changed, so sysfs is also asked again about interfaces that were
 * resolved before.
 */
void ports_from_rows(struct rows *rows, const struct port have[RELAYS_MAX], const char *sysfs,
	bool look_again, struct port ret_want[RELAYS_MAX]);

struct port_step {
	bool add;   /* else remove */
	bool again; /* an addition to a relay that has the device already: only the ident changes */
	unsigned relay_id;
};

#define PORT_STEPS_MAX (2 * RELAYS_MAX)

/*
 * The steps from `have` to `want`. All removals come first, since devices may move between relays;
 * removals and additions are each in the order of the relays, starting at `first` and wrapping
 * around. If only the ident of a port differs, there is just an addition, for the new ident.
 * Returns the number of steps.
 */
unsigned ports_diff(const struct port have[RELAYS_MAX], const struct port want[RELAYS_MAX],
	unsigned first, struct port_step ret_steps[PORT_STEPS_MAX]);

/*
 * The operation of a step; `port` is the one to add or to remove. A first addition fails if the
 * relay has the device already, because then somebody else has added it.
 */
void port_step_op(const struct port_step *step, const struct port *port, struct op *ret_op);
