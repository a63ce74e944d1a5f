/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/ports.h"

#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "host/former_names.h"
#include "host/netdev.h"

/*
 * True if the row's VF had this name when it was bound to a userspace driver (host/former_names.h).
 * An interface that has the name now is another one, to which the kernel has given it since.
 */
static bool vf_left_the_name(const struct row *row, const char *sysfs)
{
	struct pci_addr addr;

	return host_former_name_find(sysfs, row->name, &addr) == 0 &&
	       pci_addr_equal(&addr, &row->vf.addr);
}

/*
 * Finds the VF that the interface stands for. If sysfs does not say, as when a userspace driver has
 * the VF, the earlier answer holds.
 */
static int resolve_interface(struct row *row, const char *sysfs, bool look_again, struct err *err)
{
	int r;

	if (row->resolved && (!look_again || vf_left_the_name(row, sysfs)))
		return 0;
	r = host_vf_from_netdev(sysfs, row->name, &row->vf, row->resolved ? NULL : err);
	if (r == 0)
		row->resolved = true;
	return row->resolved ? 0 : r;
}

static int find_device(struct row *row, const char *sysfs, bool look_again,
	struct device_id *ret_device, struct err *err)
{
	int r;

	if (row->device) {
		r = device_id_parse(row->device, ret_device, err);
		return r < 0 ? err_prefix(err, r, "external_ids:virtio_forwarder_device") : 0;
	}
	r = resolve_interface(row, sysfs, look_again, err);
	if (r >= 0)
		device_id_from_pci(&row->vf.addr, ret_device);
	return r;
}

/* The relay that has the device now, or -1. */
static int relay_with(const struct port have[RELAYS_MAX], const struct device_id *device)
{
	for (int i = 0; i < RELAYS_MAX; i++)
		if (have[i].set && !strcmp(have[i].device.text, device->text))
			return i;
	return -1;
}

static int find_relay(const struct row *row, const struct port have[RELAYS_MAX], const char *sysfs,
	const struct device_id *device, unsigned *ret_id, struct err *err)
{
	struct host_vf vf = row->vf;
	int present, r;

	if (row->relay_id) {
		if (number_parse(row->relay_id, RELAYS_MAX - 1, ret_id) == 0)
			return 0;
		return err_set(err, EINVAL,
			"external_ids:virtio_forwarder_id is \"%.64s\", not a relay id (0..%d)",
			row->relay_id, RELAYS_MAX - 1);
	}
	if (row->device && !device->is_pci)
		return err_set(err, EINVAL,
			"%s has no VF number; name the relay by external_ids:virtio_forwarder_id",
			device->name);
	if (row->device) {
		present = relay_with(have, device);
		r = host_vf_from_pci(sysfs, &device->pci, &vf, present < 0 ? err : NULL);
		if (r < 0 && present < 0)
			return r;
		if (r < 0) /* a VF that is away keeps its relay */
			vf.number = present;
	}
	if (vf.number >= RELAYS_MAX)
		return err_set(err, EINVAL,
			"it is VF %d, and relays end at %d; name one by "
			"external_ids:virtio_forwarder_id",
			vf.number, RELAYS_MAX - 1);
	*ret_id = (unsigned)vf.number;
	return 0;
}

/* Finds the port that the row asks for. Returns its relay id or a negative errno. */
static int find_port(struct row *row, const struct port have[RELAYS_MAX], const char *sysfs,
	bool look_again, struct port *ret_port, struct err *err)
{
	struct port port = {.set = true};
	unsigned relay_id = 0;
	int r;

	r = find_device(row, sysfs, look_again, &port.device, err);
	if (r >= 0)
		r = find_relay(row, have, sysfs, &port.device, &relay_id, err);
	if (r < 0)
		return r;
	text_copy(port.ident, sizeof(port.ident), row->ident ? row->ident : "");
	strcpy(port.interface, row->name);
	*ret_port = port;
	return (int)relay_id;
}

/* Enters the port in the list, unless an earlier claim conflicts with it. */
static int claim(
	struct port want[RELAYS_MAX], unsigned relay_id, const struct port *port, struct err *err)
{
	if (want[relay_id].set)
		return err_set(err, EEXIST, "relay %u is claimed by interface %s already", relay_id,
			want[relay_id].interface);
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (want[i].set && device_id_equal(&want[i].device, &port->device))
			return err_set(err, EEXIST, "device %s is claimed by interface %s already",
				port->device.name, want[i].interface);
	want[relay_id] = *port;
	return 0;
}

static bool same_device(const struct port *a, const struct port *b)
{
	return a->set && b->set && !strcmp(a->device.text, b->device.text);
}

struct claimant {
	struct row *row;
	struct port port;
	int relay_id;      /* that it asks for; or a negative errno: it asks for none */
	unsigned has_part; /* how much of what it asks for it has now: the relay, the device */
};

static struct claimant claimant_from_row(
	struct row *row, const struct port have[RELAYS_MAX], const char *sysfs, bool look_again)
{
	struct claimant claimant = {.row = row};

	row->problem.text[0] = '\0';
	claimant.relay_id = find_port(row, have, sysfs, look_again, &claimant.port, &row->problem);
	for (int i = 0; i < RELAYS_MAX && claimant.relay_id >= 0; i++) {
		if (!have[i].set || strcmp(have[i].interface, row->name) != 0)
			continue;
		claimant.has_part += i == claimant.relay_id;
		claimant.has_part += same_device(&have[i], &claimant.port);
	}
	return claimant;
}

/* Rows that have what they ask for come first, so that no other row takes it from them. */
static int compare_claimants(const void *left, const void *right)
{
	const struct claimant *a = left, *b = right;

	if (a->has_part != b->has_part)
		return a->has_part > b->has_part ? -1 : 1;
	return strcmp(a->row->name, b->row->name);
}

void ports_from_rows(struct rows *rows, const struct port have[RELAYS_MAX], const char *sysfs,
	bool look_again, struct port ret_want[RELAYS_MAX])
{
	_cleanup_free_ struct claimant *claimants = calloc(rows->n + 1, sizeof(*claimants));
	int r;

	if (!claimants) { /* change nothing */
		memcpy(ret_want, have, RELAYS_MAX * sizeof(*have));
		return;
	}
	memset(ret_want, 0, RELAYS_MAX * sizeof(*ret_want));
	for (unsigned i = 0; i < rows->n; i++)
		claimants[i] = claimant_from_row(&rows->rows[i], have, sysfs, look_again);
	qsort(claimants, rows->n, sizeof(*claimants), compare_claimants);
	for (unsigned i = 0; i < rows->n; i++) {
		struct row *row = claimants[i].row;

		r = claimants[i].relay_id;
		if (r >= 0)
			r = claim(ret_want, (unsigned)r, &claimants[i].port, &row->problem);
		row->retry = r == -ENODEV;
	}
}

unsigned ports_diff(const struct port have[RELAYS_MAX], const struct port want[RELAYS_MAX],
	unsigned first, struct port_step ret_steps[PORT_STEPS_MAX])
{
	unsigned n = 0;

	for (unsigned k = 0; k < RELAYS_MAX; k++) {
		unsigned i = (first + k) % RELAYS_MAX;

		if (have[i].set && !same_device(&have[i], &want[i]))
			ret_steps[n++] = (struct port_step){.add = false, .relay_id = i};
	}
	for (unsigned k = 0; k < RELAYS_MAX; k++) {
		unsigned i = (first + k) % RELAYS_MAX;
		bool again = same_device(&have[i], &want[i]);

		if (want[i].set && (!again || strcmp(have[i].ident, want[i].ident) != 0))
			ret_steps[n++] =
				(struct port_step){.add = true, .again = again, .relay_id = i};
	}
	return n;
}

void port_step_op(const struct port_step *step, const struct port *port, struct op *ret_op)
{
	memset(ret_op, 0, sizeof(*ret_op));
	ret_op->kind = step->add ? OP_ADD : OP_REMOVE;
	ret_op->relay_id = (int)step->relay_id;
	ret_op->device.n_members = 1;
	ret_op->device.members[0] = port->device;
	ret_op->conditional = !step->add || step->again;
	ret_op->clear_ident = step->again;
	if (step->add)
		strcpy(ret_op->ident, port->ident);
}
