/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/reconciler.h"

#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "control/turn.h"

/* How long to wait after another failure in a row: the last wait (0: none) gives the next one. */
static unsigned next_delay_ms(unsigned last_ms)
{
	return last_ms == 0 ? 250 : MIN(2 * last_ms, 30000);
}

/*
 * Logs the rows' problems that are new or gone; false if some are left for later. Begins behind the
 * row that was logged last, so that a row that changes all the time does not hide the others.
 */
static bool log_problems(struct reconciler *reconciler)
{
	struct rows *rows = &reconciler->rows;
	const unsigned first = reconciler->first_to_log;

	for (unsigned i = 0; i < rows->n; i++) {
		const unsigned index = (first + i) % rows->n;
		struct row *row = &rows->rows[index];

		if (!strcmp(row->problem.text, row->logged.text))
			continue;
		if (!log_limit_try(&reconciler->log_limit,
			    row->problem.text[0] ? LOG_WARNING : LOG_NOTICE))
			return false;
		if (row->problem.text[0])
			log_warning("OVSDB: interface %s is not relayed: %s%s", row->name,
				row->problem.text, row->retry ? "; trying again" : "");
		else
			log_notice("OVSDB: interface %s is relayed now", row->name);
		row->logged = row->problem;
		reconciler->first_to_log = index + 1;
	}
	return true;
}

static void note_not_added(struct rows *rows, const char *interface, const struct err *err)
{
	for (unsigned i = 0; i < rows->n; i++)
		if (!strcmp(rows->rows[i].name, interface)) {
			rows->rows[i].problem = *err;
			rows->rows[i].retry = true;
		}
}

static void note_not_removed(
	struct reconciler *reconciler, unsigned relay_id, const struct err *err)
{
	struct err *logged = &reconciler->removal_logged[relay_id];

	if (!strcmp(logged->text, err->text) || !log_limit_try(&reconciler->log_limit, LOG_ERR))
		return;
	log_event_at(LOG_ERR, &(struct log_event){.relay = (int)relay_id},
		"OVSDB: cannot take %s from relay %u: %s; trying again",
		reconciler->have[relay_id].device.text, relay_id, err->text);
	*logged = *err;
}

/*
 * True if the addition has failed before and is not due. It is due at once if it is another device,
 * or this one has changed.
 */
static bool is_too_early(
	struct reconciler *reconciler, struct failed_addition *last, const struct device_id *device)
{
	const bool changed = host_device_has_changed(reconciler->sysfs, device, &last->state);

	if (changed || strcmp(last->device.text, device->text) != 0) {
		last->device = *device;
		last->delay_ms = 0;
		return false;
	}
	return clock_monotonic_ns() < last->due_ns;
}

static void put_off(struct failed_addition *last, const struct err *err)
{
	last->delay_ms = next_delay_ms(last->delay_ms);
	last->due_ns = clock_monotonic_ns() + last->delay_ms * UINT64_C(1000000);
	last->err = *err;
}

static bool add(struct reconciler *reconciler, const struct op *op, const struct port *port)
{
	struct failed_addition *last = &reconciler->failed_additions[op->relay_id];
	struct op_result result = {0};

	if (!is_too_early(reconciler, last, &port->device)) {
		reconciler->apply(reconciler->userdata, op, &result);
		if (result.code == 0) {
			*last = (struct failed_addition){0};
			return true;
		}
		put_off(last, &result.err);
	}
	reconciler->due_ns = MIN(reconciler->due_ns, last->due_ns);
	note_not_added(&reconciler->rows, port->interface, &last->err);
	return false;
}

static bool take_away(struct reconciler *reconciler, const struct op *op)
{
	struct op_result result = {0};

	reconciler->apply(reconciler->userdata, op, &result);
	if (result.code != 0)
		note_not_removed(reconciler, (unsigned)op->relay_id, &result.err);
	return result.code == 0;
}

/* Returns true if the relay is now as it should be. */
static bool take_step(
	struct reconciler *reconciler, const struct port_step *step, const struct port *want)
{
	struct port *have = &reconciler->have[step->relay_id];
	struct op op;

	if (step->add && have->set && strcmp(have->device.text, want->device.text) != 0)
		return false; /* its removal has failed */
	port_step_op(step, step->add ? want : have, &op);
	if (!(step->add ? add(reconciler, &op, want) : take_away(reconciler, &op)))
		return false;
	if (step->add)
		*have = *want;
	else
		*have = (struct port){0};
	reconciler->removal_logged[step->relay_id].text[0] = '\0';
	return true;
}

void reconciler_plan(struct reconciler *reconciler, bool look_again)
{
	struct port *have = reconciler->have, *want = reconciler->want;

	ports_from_rows(&reconciler->rows, have, reconciler->sysfs, look_again, want);
	reconciler->n_steps = ports_diff(have, want, reconciler->first, reconciler->steps);
	reconciler->n_taken = 0;
	reconciler->failed = false;
	reconciler->due_ns = UINT64_MAX;
	if (look_again)
		reconciler->retry_ms = 0;
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		if (!want[i].set)
			reconciler->failed_additions[i] = (struct failed_addition){0};
		else if (have[i].set) /* a device may move from one interface to another */
			strcpy(have[i].interface, want[i].interface);
	}
}

/* Until an addition that has failed is due; 1 if one is. */
static uint64_t ms_until_due(const struct reconciler *reconciler)
{
	const uint64_t now_ns = clock_monotonic_ns();

	return reconciler->due_ns > now_ns ? (reconciler->due_ns - now_ns) / 1000000 + 1 : 1;
}

unsigned reconciler_run(struct reconciler *reconciler)
{
	const uint64_t began_ns = clock_monotonic_ns();
	bool retry;

	while (reconciler->n_taken < reconciler->n_steps) {
		const struct port_step *step = &reconciler->steps[reconciler->n_taken++];

		if (!take_step(reconciler, step, &reconciler->want[step->relay_id]))
			reconciler->failed = true;
		reconciler->first = (step->relay_id + 1) % RELAYS_MAX;
		if (reconciler->n_taken < reconciler->n_steps && turn_is_over(began_ns))
			return 0;
	}
	retry = reconciler->failed;
	for (unsigned i = 0; i < reconciler->rows.n; i++)
		retry = retry || reconciler->rows.rows[i].retry;
	retry = !log_problems(reconciler) || retry;
	if (!retry)
		return UINT_MAX;
	reconciler->retry_ms = next_delay_ms(reconciler->retry_ms);
	const uint64_t due_ms = ms_until_due(reconciler);
	return (unsigned)MIN(reconciler->retry_ms, due_ms);
}
