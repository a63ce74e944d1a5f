/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Lists the VFs of this host and the relays they serve, and binds them. Works on the host itself.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/device_id.h"
#include "bin/clients/clients.h"
#include "host/bind.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/usable.h"
#include "wire/client.h"

enum {
	KEY_DRIVER = 256,
};

static const struct argp_option options[] = {
	{"driver", KEY_DRIVER, "DRIVER", 0,
		"bind to DRIVER: vfio-pci (default), igb_uio or uio_pci_generic", 0},
	{},
};

enum command {
	COMMAND_LIST,
	COMMAND_BIND,
	COMMAND_UNBIND,
};

struct arguments {
	struct client_options options;
	const char *driver;
	bool named; /* the command was given */
	enum command command;
	char **devices; /* point into argv */
	int n_devices;
};

static void set_command(struct arguments *arguments, const char *text, struct argp_state *state)
{
	static const char *const names[] = {
		[COMMAND_LIST] = "list", [COMMAND_BIND] = "bind", [COMMAND_UNBIND] = "unbind"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			arguments->command = i;
			arguments->named = true;
			return;
		}
	argp_error(state, "'%s' is none of list, bind, unbind", text);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_DRIVER:
		if (!host_driver_is_userspace(value))
			argp_error(state,
				"--driver: '%s' is none of vfio-pci, igb_uio, uio_pci_generic",
				value);
		arguments->driver = value;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->named)
			return ARGP_ERR_UNKNOWN; /* ARGP_KEY_ARGS takes this and all others */
		set_command(arguments, value, state);
		return 0;
	case ARGP_KEY_ARGS:
		arguments->devices = state->argv + state->next;
		arguments->n_devices = state->argc - state->next;
		return 0;
	case ARGP_KEY_END:
		if (arguments->command == COMMAND_LIST && arguments->n_devices != 0)
			argp_error(state, "list takes no device");
		if (arguments->command != COMMAND_LIST && arguments->n_devices == 0)
			argp_error(state, "no device is given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[list]\nbind DEVICES...\nunbind DEVICES...",
	.doc = "Shows the VFs of this host with the relays that they serve, binds them to a driver "
	       "through which DPDK drives them, or gives them back to the kernel.\v"
	       "DEVICES are PCI addresses and interfaces, as in VIRTIOFWD_BIND_VFIO_PCI: a PF's "
	       "interface means all its VFs, with \":N\" behind it the first N.\n"
	       "Exit code: 0 done, 1 something was not, 2 bad usage.",
};

/* A line of the table. Missing texts are "", a missing relay or node is -1. */
struct line {
	char vf[PCI_ADDR_TEXT_SIZE];
	char driver[HOST_DRIVER_SIZE];
	char pf[PCI_ADDR_TEXT_SIZE];
	char pf_netdev[IFNAMSIZ];
	char netdev[IFNAMSIZ];
	int numa_node;
	int relay;
};

/*
 * The relay that has the VF, or -1. Members of a bond are not found: statistics name the bond only.
 */
static int find_relay(const struct stats_reply *reply, const struct pci_addr *addr)
{
	char text[DEVICE_TEXT_SIZE];
	struct device_id id;

	device_id_from_pci(addr, &id);
	device_id_format_wire(&id, text);
	for (unsigned i = 0; reply && i < reply->n; i++)
		if (strcmp(reply->relays[i].device, text) == 0)
			return (int)reply->relays[i].id;
	return -1;
}

static void fill_line(
	const struct host_vf *vf, const struct stats_reply *reply, struct line *ret_line)
{
	*ret_line = (struct line){.numa_node = host_pci_numa_node(SYSFS_ROOT, &vf->addr),
		.relay = find_relay(reply, &vf->addr)};
	pci_addr_format(&vf->addr, ret_line->vf);
	pci_addr_format(&vf->pf, ret_line->pf);
	host_pci_driver(SYSFS_ROOT, &vf->addr, ret_line->driver);
	host_pci_netdev(SYSFS_ROOT, &vf->addr, ret_line->netdev);
	host_pci_netdev(SYSFS_ROOT, &vf->pf, ret_line->pf_netdev);
}

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void print_line(const struct line *line)
{
	char relay[16] = "-", node[16] = "-";

	if (line->relay >= 0)
		snprintf(relay, sizeof(relay), "%d", line->relay);
	if (line->numa_node >= 0)
		snprintf(node, sizeof(node), "%d", line->numa_node);
	printf("%-12s  %-15s  %-15s  %-12s  %-15s  %-4s  %s\n", line->vf, or_dash(line->driver),
		or_dash(line->netdev), line->pf, or_dash(line->pf_netdev), node, relay);
}

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *number_or_null(int number)
{
	return number >= 0 ? json_integer(number) : json_null();
}

static json_t *line_json(const struct line *line)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "vf", line->vf, "driver",
		text_or_null(line->driver), "netdev", text_or_null(line->netdev), "pf", line->pf,
		"pf_netdev", text_or_null(line->pf_netdev), "numa_node",
		number_or_null(line->numa_node), "relay", number_or_null(line->relay));
}

static int list(const char *program, const struct arguments *arguments)
{
	const struct stats_request request = {.relays = STATS_RELAYS_ALL, .include_inactive = true};
	_cleanup_free_ struct host_vf *vfs = NULL;
	struct stats_reply *reply = NULL;
	json_t *table = json_array();
	struct err err = {""};
	struct line line;
	unsigned n;

	if (host_vf_list(SYSFS_ROOT, NULL, &vfs, &n, &err) < 0)
		return client_fail(program, &err);
	if (n > 0 && client_stats(arguments->options.stats_endpoint, &request, &reply, &err) < 0)
		fprintf(stderr, "%s: %s: no relays are shown\n", program, err.text);
	if (!arguments->options.json)
		printf("%-12s  %-15s  %-15s  %-12s  %-15s  %-4s  %s\n", "VF", "DRIVER", "NETDEV",
			"PF", "PF NETDEV", "NODE", "RELAY");
	for (unsigned i = 0; i < n; i++) {
		fill_line(&vfs[i], reply, &line);
		if (arguments->options.json)
			json_array_append_new(table, line_json(&line));
		else
			print_line(&line);
	}
	if (arguments->options.json) {
		json_dumpf(table, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(table);
	stats_reply_free(reply);
	return 0;
}

/* Binds or unbinds one function, and reports it if that changed something. */
static int change(
	const char *program, const struct arguments *arguments, const struct pci_addr *addr)
{
	char text[PCI_ADDR_TEXT_SIZE], driver[HOST_DRIVER_SIZE] = "";
	struct err err = {""};

	int r = arguments->command == COMMAND_BIND
	                ? host_bind_device(SYSFS_ROOT, addr, arguments->driver, &err)
	                : host_unbind_device(SYSFS_ROOT, addr, &err);
	if (r < 0)
		return client_fail(program, &err);
	pci_addr_format(addr, text);
	host_pci_driver(SYSFS_ROOT, addr, driver);
	if (r > 0)
		printf("%s is bound to %s now\n", text, driver[0] != '\0' ? driver : "no driver");
	return 0;
}

static int change_all(const char *program, const struct arguments *arguments)
{
	int code = 0;

	for (int i = 0; i < arguments->n_devices; i++) {
		_cleanup_free_ struct pci_addr *addrs = NULL;
		struct err err = {""};
		unsigned n = 0;

		if (host_bind_parse(SYSFS_ROOT, arguments->devices[i], &addrs, &n, &err) < 0)
			code = client_fail(program, &err);
		for (unsigned k = 0; k < n; k++)
			if (change(program, arguments, &addrs[k]) != 0)
				code = EXIT_REFUSED;
	}
	return code;
}

int vf_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {.driver = HOST_BIND_DRIVER};

	client_parse(
		&argp, CLIENT_STATS_EP | CLIENT_JSON, argc, argv, &arguments.options, &arguments);
	return arguments.command == COMMAND_LIST ? list(argv[0], &arguments)
	                                         : change_all(argv[0], &arguments);
}
