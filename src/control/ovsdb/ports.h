/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which device each relay should have, and the way there from what it has. Plain functions of the
 * rows, of sysfs and of the present state; they change nothing but the rows' own findings.
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
 * Works out ret_want[relay id] from the rows. A row without a usable answer gets its `problem` (and
 * `retry`), and no port. Of rows that claim the same relay or device, the one that has it now
 * (`have`) keeps it, else the first by name gets it. `look_again`: ask sysfs also for interfaces
 * that were found before, since the host has changed.
 */
void ports_from_rows(struct rows *rows, const struct port have[RELAYS_MAX], const char *sysfs,
	bool look_again, struct port ret_want[RELAYS_MAX]);

struct port_step {
	bool add;   /* else remove */
	bool again; /* of an addition: the relay has the device already, the ident alone differs */
	unsigned relay_id;
};

#define PORT_STEPS_MAX (2 * RELAYS_MAX)

/*
 * The steps from `have` to `want`: all removals first, since devices move between relays; either
 * kind in the order of the relays, round from `first`. A port whose ident alone differs is only
 * added, for the new ident. Returns their number.
 */
unsigned ports_diff(const struct port have[RELAYS_MAX], const struct port want[RELAYS_MAX],
	unsigned first, struct port_step ret_steps[PORT_STEPS_MAX]);

/*
 * The operation of a step; `port` is the one to have, or to get rid of. A first addition fails
 * where the relay has the device already: another has added it.
 */
void port_step_op(const struct port_step *step, const struct port *port, struct op *ret_op);
