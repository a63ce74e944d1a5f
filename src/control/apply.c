/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Operations. Each function checks the whole request against the present relays, then executes it.
 * If a later step fails, the earlier ones are undone.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/forwarder_internal.h"
#include "control/socket_dir.h"

static bool is_named(const struct device_spec *device)
{
	return device->n_members != 0 || device_spec_is_bond(device);
}

/* True if `named` refers to what the relay has: a bond by its name, a device by its address. */
static bool same_device(const struct device_spec *attached, const struct device_spec *named)
{
	if (attached->n_members == 0)
		return false;
	if (device_spec_is_bond(attached) || device_spec_is_bond(named))
		return strcmp(attached->bond_name, named->bond_name) == 0;
	return device_id_equal(&attached->members[0], &named->members[0]);
}

/* True if `named` is this device, without arguments or with the same ones. */
static bool same_member(const struct device_id *attached, const struct device_id *named)
{
	return !strcmp(named->text, attached->name) || !strcmp(named->text, attached->text);
}

/* True if both have the same members in the same order and, for bonds, the same mode. */
static bool same_make(const struct device_spec *attached, const struct device_spec *named)
{
	if (attached->n_members != named->n_members ||
		(device_spec_is_bond(attached) && attached->bond_mode != named->bond_mode))
		return false;
	for (unsigned i = 0; i < attached->n_members; i++)
		if (!same_member(&attached->members[i], &named->members[i]))
			return false;
	return true;
}

static bool relay_uses(const struct relay *relay, const struct device_id *id)
{
	for (unsigned i = 0; i < relay->device.n_members; i++)
		if (device_id_equal(&relay->device.members[i], id))
			return true;
	return false;
}

static bool is_member(const struct relay *relay, const struct device_spec *device)
{
	return device_spec_is_bond(&relay->device) && !device_spec_is_bond(device) &&
	       relay_uses(relay, &device->members[0]);
}

static struct relay *find_by_device(struct forwarder *forwarder, const struct device_spec *device)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (same_device(&forwarder->relays[i].device, device))
			return &forwarder->relays[i];
	return NULL;
}

static struct relay *find_by_socket(struct forwarder *forwarder, const char *path)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (strcmp(relay_socket(&forwarder->relays[i]), path) == 0)
			return &forwarder->relays[i];
	return NULL;
}

static bool is_free(const struct relay *relay)
{
	return !relay_has_device(relay) && relay_socket(relay)[0] == '\0';
}

/* The relay `wanted` if it is free (-1: none is wanted), else the first one that is. */
static struct relay *find_free(struct forwarder *forwarder, int wanted)
{
	if (wanted >= 0 && is_free(&forwarder->relays[wanted]))
		return &forwarder->relays[wanted];
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (is_free(&forwarder->relays[i]))
			return &forwarder->relays[i];
	return NULL;
}

/* The relay with the bond of which the device is a member, or NULL. */
static struct relay *find_bond_over(struct forwarder *forwarder, const struct device_spec *device)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (is_member(&forwarder->relays[i], device))
			return &forwarder->relays[i];
	return NULL;
}

/* Fails if a member, or the bond's name, is in use. */
static int check_unused(
	struct forwarder *forwarder, const struct device_spec *device, struct err *err)
{
	struct relay *user = find_by_device(forwarder, device);

	if (user != NULL) /* by its name, perhaps with other arguments */
		return err_set(err, EBUSY, "%s is in use by relay %u",
			device_spec_is_bond(device) ? device->bond_name : device->members[0].name,
			user->id);
	for (unsigned i = 0; i < device->n_members; i++)
		for (unsigned k = 0; k < RELAYS_MAX; k++)
			if (relay_uses(&forwarder->relays[k], &device->members[i]))
				return err_set(err, EBUSY, "device %s is in use by relay %u",
					device->members[i].name, k);
	return 0;
}

/* The result of a request that would change nothing. */
static int unchanged(
	const struct op *op, int code, struct err *err, const char *what, const char *name)
{
	return op->conditional ? 0 : err_set(err, code, "%s %s", name, what);
}

/*
 * The result of a removal of a bond's member, conditional or not: the device is in use, so there
 * would be something to do.
 */
static int refuse_member(
	const struct relay *relay, const struct device_spec *member, struct err *err)
{
	return err_set(err, EBUSY, "%s is a member of %s, relay %u: remove that, by its name",
		device_spec_name(member), device_spec_name(&relay->device), relay->id);
}

/* True if the relay has exactly the device that the request names. */
static bool has_device(const struct relay *relay, const struct op *op)
{
	return same_device(&relay->device, &op->device) && same_make(&relay->device, &op->device);
}

/* What to add to a refusal that names the very bond that was asked for. */
static const char *difference(const struct relay *relay, const struct op *op)
{
	if (!device_spec_is_bond(&op->device) || !same_device(&relay->device, &op->device) ||
		same_make(&relay->device, &op->device))
		return "";
	return " (with other members, another order of them or another bond mode)";
}

/* True if the relay's socket is open in the mode that the request wants. */
static bool has_mode(const struct relay *relay, enum socket_mode mode)
{
	return mode == SOCKET_MODE_DEFAULT ||
	       relay->guest->options.client == (mode == SOCKET_MODE_CLIENT);
}

/* The result of an addition of what is there already: at most the ident changes. */
static int keep(struct relay *relay, const struct op *op, struct err *err, const char *what,
	const char *name)
{
	if (op->conditional && (op->ident[0] != '\0' || op->clear_ident))
		strcpy(relay->ident, op->ident);
	return unchanged(op, EEXIST, err, what, name);
}

/* The relay of a request that must have a relay id and a device; NULL if either is missing. */
static struct relay *named_relay(struct forwarder *forwarder, const struct op *op, struct err *err)
{
	if (op->relay_id < 0 || op->relay_id >= RELAYS_MAX)
		err_set(err, EINVAL, "no relay id of 0..%d is given", RELAYS_MAX - 1);
	else if (!is_named(&op->device))
		err_set(err, EINVAL, "no device is given");
	else
		return &forwarder->relays[op->relay_id];
	return NULL;
}

/* The result of a request by relay id, if the daemon runs with dynamic sockets. */
static int refuse_dynamic(const char *instead, struct err *err)
{
	return err_set(err, EINVAL,
		"the daemon runs with dynamic sockets, whose relays are chosen by path: use %s",
		instead);
}

/* Gives the relay the device, and makes it one that was added. */
static int attach(
	struct forwarder *forwarder, struct relay *relay, const struct op *op, struct err *err)
{
	struct err why = {""};

	int r = op->opening == OPENING_LATER ? -EAGAIN : relay_attach(relay, &op->device, &why);
	if (r < 0 && op->opening == OPENING_NOW) {
		*err = why;
		return r;
	}
	if (r < 0) {
		relay_await(relay, &op->device, &why);
		device_watch_ask(forwarder->env.watch);
	}
	relay->added = true;
	strcpy(relay->ident, op->ident);
	return 0;
}

static void detach(struct relay *relay)
{
	relay_detach(relay);
	relay->added = false;
	relay->ident[0] = '\0';
}

static int apply_add(struct forwarder *forwarder, const struct op *op, struct err *err)
{
	struct relay *relay = named_relay(forwarder, op, err);
	char what[48];

	if (relay == NULL)
		return -EINVAL;
	if (forwarder->config->dynamic_sockets)
		return refuse_dynamic("add_sock", err);
	if (has_device(relay, op)) {
		snprintf(what, sizeof(what), "is attached to relay %u already", relay->id);
		return keep(relay, op, err, what, device_spec_name(&op->device));
	}
	if (relay_has_device(relay))
		return err_set(err, EBUSY, "relay %u is in use by %s%s: remove that first",
			relay->id, device_spec_name(&relay->device), difference(relay, op));
	int r = check_unused(forwarder, &op->device, err);
	return r < 0 ? r : attach(forwarder, relay, op, err);
}

static int apply_remove(struct forwarder *forwarder, const struct op *op, struct err *err)
{
	struct relay *relay = named_relay(forwarder, op, err);
	char what[48];

	if (relay == NULL)
		return -EINVAL;
	if (forwarder->config->dynamic_sockets)
		return refuse_dynamic("remove_sock", err);
	if (is_member(relay, &op->device))
		return refuse_member(relay, &op->device, err);
	if (!same_device(&relay->device, &op->device)) {
		snprintf(what, sizeof(what), "is not attached to relay %u", relay->id);
		return unchanged(op, ENOENT, err, what, device_spec_name(&op->device));
	}
	detach(relay);
	return 0;
}

static int check_dynamic(struct forwarder *forwarder, struct err *err)
{
	if (forwarder->config->dynamic_sockets)
		return 0;
	return err_set(err, EINVAL,
		"the daemon runs with static sockets: start it with --dynamic-sockets "
		"(VIRTIOFWD_DYNAMIC_SOCKETS) to add and remove them");
}

static int apply_add_sock(struct forwarder *forwarder, const struct op *op, struct err *err)
{
	int r = check_dynamic(forwarder, err);
	if (r < 0)
		return r;

	struct relay *owner = find_by_socket(forwarder, op->vhost_path);
	if (owner != NULL && has_device(owner, op) && has_mode(owner, op->socket_mode))
		return keep(owner, op, err, "exists already with this device", op->vhost_path);
	if (owner != NULL)
		return err_set(err, EBUSY,
			"%s is the socket of %s%s in %s mode, relay %u: remove that first",
			op->vhost_path, device_spec_name(&owner->device), difference(owner, op),
			owner->guest->options.client ? "client" : "server", owner->id);
	r = check_unused(forwarder, &op->device, err);
	if (r < 0)
		return r;

	struct relay *relay = find_free(forwarder, op->relay_id);
	if (relay == NULL)
		return err_set(err, ENOSPC, "all %d relays are in use", RELAYS_MAX);
	r = attach(forwarder, relay, op, err);
	if (r < 0)
		return r;
	r = relay_open_socket(relay, op->vhost_path, op->socket_mode, err);
	if (r < 0) {
		detach(relay);
		return r;
	}
	if (relay->guest->options.client)
		socket_dir_check_client(forwarder->config, relay->id, op->vhost_path);
	return 0;
}

static int apply_remove_sock(struct forwarder *forwarder, const struct op *op, struct err *err)
{
	bool by_path = op->vhost_path[0] != '\0', by_device = is_named(&op->device);

	int r = check_dynamic(forwarder, err);
	if (r < 0)
		return r;

	struct relay *bond = by_device ? find_bond_over(forwarder, &op->device) : NULL;
	if (bond != NULL)
		return refuse_member(bond, &op->device, err);
	struct relay *of_path = by_path ? find_by_socket(forwarder, op->vhost_path) : NULL;
	struct relay *of_device = by_device ? find_by_device(forwarder, &op->device) : NULL;
	if (of_path == NULL && of_device == NULL)
		return unchanged(op, ENOENT, err, "does not exist",
			by_path ? op->vhost_path : device_spec_name(&op->device));
	if (by_path && by_device && of_path != of_device)
		return err_set(err, EINVAL, "%s and %s do not belong together", op->vhost_path,
			device_spec_name(&op->device));

	struct relay *relay = by_path ? of_path : of_device;
	relay_close_socket(relay);
	detach(relay);
	return 0;
}

static int apply_query(
	struct forwarder *forwarder, const struct op *op, struct op_result *ret_result)
{
	struct relay_stats stats;
	struct relay *relay = find_by_socket(forwarder, op->vhost_path);

	if (relay == NULL || !relay_has_device(relay))
		return err_set(&ret_result->err, ENOENT, "no device serves the vhost path \"%s\"",
			op->vhost_path);
	relay_read_stats(relay, &stats);
	strcpy(ret_result->query, stats.device);
	return 0;
}

void forwarder_apply(struct forwarder *forwarder, const struct op *op, struct op_result *ret_result)
{
	struct err *err = &ret_result->err;
	int r = -EINVAL;

	switch (op->kind) {
	case OP_ADD:
		r = apply_add(forwarder, op, err);
		break;
	case OP_REMOVE:
		r = apply_remove(forwarder, op, err);
		break;
	case OP_ADD_SOCK:
		r = apply_add_sock(forwarder, op, err);
		break;
	case OP_REMOVE_SOCK:
		r = apply_remove_sock(forwarder, op, err);
		break;
	case OP_QUERY_PCI:
		r = apply_query(forwarder, op, ret_result);
		break;
	}
	ret_result->code = -r;
}

static struct op addition(const struct forwarder *forwarder, const struct relay *relay)
{
	struct op op = {
		.kind = forwarder->config->dynamic_sockets ? OP_ADD_SOCK : OP_ADD,
		.relay_id = (int)relay->id,
		.device = relay->device,
		.conditional = true,
	};

	strcpy(op.ident, relay->ident);
	if (op.kind == OP_ADD_SOCK) {
		strcpy(op.vhost_path, relay_socket(relay));
		op.socket_mode =
			relay->guest->options.client ? SOCKET_MODE_CLIENT : SOCKET_MODE_SERVER;
	}
	return op;
}

unsigned forwarder_additions(
	const struct forwarder *forwarder, struct op ret_ops[static RELAYS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (forwarder->relays[i].added)
			ret_ops[n++] = addition(forwarder, &forwarder->relays[i]);
	return n;
}
