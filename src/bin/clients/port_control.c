/* SPDX-License-Identifier: BSD-3-Clause */

/* Adds, removes and queries ports. */

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/endpoints.h"
#include "bin/clients/clients.h"
#include "wire/client.h"

enum {
	KEY_VHOST_PATH = 256,
	KEY_VIRTIO_ID,
	KEY_PCI_ADDR,
	KEY_DEVICE,
	KEY_NAME,
	KEY_MODE,
	KEY_SOCKET_MODE,
	KEY_IDENT,
	KEY_ENDPOINT,
	KEY_CONDITIONAL,
};

static const struct argp_option options[] = {
	{"vhost-path", KEY_VHOST_PATH, "PATH", 0, "vhost-user socket", 0},
	{"virtio-id", KEY_VIRTIO_ID, "N", 0, "relay, 0-63", 0},
	{"pci-addr", KEY_PCI_ADDR, "ADDRESS", 0,
		"PCI address of the VF (0000:05:08.1); repeated, the members of a bond", 0},
	{"device", KEY_DEVICE, "DEVICE", 0,
		"any DPDK device (net_af_packet0,iface=eth1) instead; may be repeated too", 0},
	{"name", KEY_NAME, "BOND", 0, "name of a bond, starts with net_bonding", 0},
	{"mode", KEY_MODE, "0-6", 0, "mode of the bond (default: 1, active-backup)", 0},
	{"socket-mode", KEY_SOCKET_MODE, "server|client", 0,
		"who listens on the socket: server is the daemon, client is QEMU (default: as the "
		"daemon is configured)",
		0},
	{"ident", KEY_IDENT, "ID", 0, "an orchestrator's id of the port, shown in statistics", 0},
	{"conditional", KEY_CONDITIONAL, NULL, 0, "what is done already is no error", 0},
	{"zmq_ep", KEY_ENDPOINT, "ENDPOINT", 0,
		"port control endpoint (default: " PORT_CONTROL_ENDPOINT ")", 0},
	{"zmq-ep", KEY_ENDPOINT, "ENDPOINT", OPTION_ALIAS, NULL, 0},
	{},
};

static const struct {
	const char *name;
	const char *compatible_name;
	enum op_kind kind;
} operations[] = {
	{"add", "add", OP_ADD},
	{"remove", "remove", OP_REMOVE},
	{"add-sock", "add_sock", OP_ADD_SOCK},
	{"remove-sock", "remove_sock", OP_REMOVE_SOCK},
	{"query", "query_pci", OP_QUERY_PCI},
};

struct arguments {
	const char *endpoint;
	struct client_options options;
	bool has_operation;
	struct op op;
};

static void set_operation(struct arguments *arguments, const char *name, struct argp_state *state)
{
	if (arguments->has_operation)
		argp_error(state, "one operation too many: '%s'", name);
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strcmp(name, operations[i].name) != 0 &&
			strcmp(name, operations[i].compatible_name) != 0)
			continue;
		arguments->op.kind = operations[i].kind;
		arguments->has_operation = true;
		return;
	}
	argp_error(state, "there is no operation '%s'", name);
}

static void set_text(
	char *ret_text, size_t size, const char *option, const char *text, struct argp_state *state)
{
	if (strlen(text) >= size)
		argp_error(state, "--%s takes at most %zu characters", option, size - 1);
	snprintf(ret_text, size, "%s", text);
}

static void add_member(
	struct device_spec *device, const char *text, bool only_pci, struct argp_state *state)
{
	struct device_id id;
	struct err err = {};

	if (device->n_members == BOND_MEMBERS_MAX)
		argp_error(state, "a bond has at most %d devices", BOND_MEMBERS_MAX);
	if (device_id_parse(text, &id, &err) < 0)
		argp_error(state, "%s", err.text);
	if (only_pci && (!id.is_pci || strchr(text, ',')))
		argp_error(state, "--pci-addr: '%s' is no PCI address (0000:05:08.1)", text);
	device->members[device->n_members++] = id;
}

static void set_socket_mode(struct op *op, const char *text, struct argp_state *state)
{
	if (strcmp(text, "server") == 0)
		op->socket_mode = SOCKET_MODE_SERVER;
	else if (strcmp(text, "client") == 0)
		op->socket_mode = SOCKET_MODE_CLIENT;
	else
		argp_error(state, "--socket-mode: '%s' is neither server nor client", text);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct op *op = &arguments->op;

	switch (key) {
	case KEY_VHOST_PATH:
		set_text(op->vhost_path, sizeof(op->vhost_path), "vhost-path", value, state);
		return 0;
	case KEY_VIRTIO_ID:
		op->relay_id = (int)client_number("--virtio-id", value, 0, INT_MAX, state);
		return 0;
	case KEY_PCI_ADDR:
		add_member(&op->device, value, true, state);
		return 0;
	case KEY_DEVICE:
		add_member(&op->device, value, false, state);
		return 0;
	case KEY_NAME:
		set_text(op->device.bond_name, sizeof(op->device.bond_name), "name", value, state);
		return 0;
	case KEY_MODE:
		op->device.bond_mode = client_number("--mode", value, 0, 6, state);
		return 0;
	case KEY_SOCKET_MODE:
		set_socket_mode(op, value, state);
		return 0;
	case KEY_IDENT:
		set_text(op->ident, sizeof(op->ident), "ident", value, state);
		return 0;
	case KEY_CONDITIONAL:
		op->conditional = true;
		return 0;
	case KEY_ENDPOINT:
		arguments->endpoint = value;
		return 0;
	case ARGP_KEY_ARG:
		set_operation(arguments, value, state);
		return 0;
	case ARGP_KEY_END:
		if (!arguments->has_operation)
			argp_error(state, "which operation?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char description[] =
	"Adds and removes ports of a running virtio-forwarder.\v"
	"add          attach a device to the relay --virtio-id\n"
	"remove       take it away again\n"
	"add-sock     attach a device to a free relay, with the socket --vhost-path\n"
	"remove-sock  give back the relay of --vhost-path, of a device, or of both\n"
	"query        print the device that --vhost-path serves\n"
	"\n"
	"A bond is several --pci-addr or --device and a --name; to remove it, name it without its "
	"devices.\n"
	"Exit code: 0 done, 1 refused or no answer within 2 s, 2 bad usage.";

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "{add|remove|add-sock|remove-sock|query}",
	.doc = description,
};
static const struct argp compatible_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "{add|remove|add_sock|remove_sock|query_pci}",
	.doc = description,
};

static int print_json_result(const struct op_result *result)
{
	json_t *object = json_pack("{ss}", "status", result->code ? "ERROR" : "OK");

	if (result->code) {
		json_object_set_new(object, "error_code", json_integer(result->code));
		json_object_set_new(object, "error_code_source", json_string(result->err.text));
	}
	if (result->query[0])
		json_object_set_new(object, "query_string", json_string(result->query));
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
	return result->code ? EXIT_REFUSED : 0;
}

int port_control_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {
		.endpoint = PORT_CONTROL_ENDPOINT,
		.op = {.relay_id = -1, .device = {.bond_mode = 1}},
	};
	struct op_result result;
	struct err err = {};

	client_parse(compatible ? &compatible_argp : &argp, CLIENT_JSON, argc, argv,
		&arguments.options, &arguments);
	if (client_port_control(arguments.endpoint, &arguments.op, &result, &err) < 0)
		return client_fail(argv[0], &err);
	if (arguments.options.json)
		return print_json_result(&result);
	if (result.query[0])
		puts(result.query);
	if (result.code) {
		fprintf(stderr, "%s: ERROR %d (%s): %s\n", argv[0], result.code,
			strerror(result.code), result.err.text);
		return EXIT_REFUSED;
	}
	return 0;
}
