/* SPDX-License-Identifier: BSD-3-Clause */

/* Shows on which CPUs the relays run, and moves them. */

#include <jansson.h>
#include <stdio.h>

#include "bin/clients/clients.h"
#include "config/config.h"
#include "wire/client.h"

enum {
	KEY_VIRTIO_CPU = 256,
	KEY_PRINT,
};

static const struct argp_option options[] = {
	{"virtio-cpu", KEY_VIRTIO_CPU, "RN:Ci[,Cj]", 0,
		"run relay RN on CPU Ci from VF to VM and on Cj (the same, where left out) from VM "
		"to VF; may be repeated",
		0},
	{"print-core-map", KEY_PRINT, NULL, 0,
		"print the map, after the moves; so does a call without --virtio-cpu", 0},
	{},
};

struct arguments {
	struct client_options options;
	bool print;
	unsigned n_moves;
	struct core_move moves[RELAYS_MAX];
};

static void add_move(struct arguments *arguments, const char *text, struct argp_state *state)
{
	struct config_pin pin;
	unsigned relay_id;
	struct err err;

	if (config_pin_parse(text, &relay_id, &pin, &err) < 0)
		argp_error(state, "--virtio-cpu: %s", err.text);
	/* Cannot overflow, since all relay ids differ. */
	for (unsigned i = 0; i < arguments->n_moves; i++)
		if (arguments->moves[i].relay_id == relay_id)
			argp_error(state, "--virtio-cpu: relay %u is given twice", relay_id);
	arguments->moves[arguments->n_moves++] = (struct core_move){
		.relay_id = relay_id,
		.vf_to_vm_cpu = (unsigned)pin.vf_to_vm_cpu,
		.vm_to_vf_cpu = (unsigned)pin.vm_to_vf_cpu,
	};
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_VIRTIO_CPU:
		add_move(arguments, value, state);
		return 0;
	case KEY_PRINT:
		arguments->print = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Shows on which worker CPUs virtio-forwarder's relays run, and moves them.\v"
	       "The map has one line RN:Ci,Cj a relay that runs, as --virtio-cpu takes it. A "
	       "request that cannot be carried out moves nothing; a direction that does not run "
	       "is not moved, which is no error.\n"
	       "Exit code: 0 done, 1 refused or no answer within 2 s, 2 bad usage.",
};

static void print_map(const struct stats_reply *reply)
{
	for (unsigned i = 0; i < reply->n; i++) {
		const struct relay_stats *relay = &reply->relays[i];

		if (relay->vf_to_vm.cpu >= 0 && relay->vm_to_vf.cpu >= 0)
			printf("%u:%d,%d\n", relay->id, relay->vf_to_vm.cpu, relay->vm_to_vf.cpu);
	}
}

static void print_json_map(const struct stats_reply *reply)
{
	json_t *map = json_array();

	for (unsigned i = 0; i < reply->n; i++) {
		const struct relay_stats *relay = &reply->relays[i];

		if (relay->vf_to_vm.cpu >= 0 && relay->vm_to_vf.cpu >= 0)
			json_array_append_new(
				map, json_pack("{sisisi}", "relay", (int)relay->id, "vf_to_vm",
					     relay->vf_to_vm.cpu, "vm_to_vf", relay->vm_to_vf.cpu));
	}
	json_dumpf(map, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(map);
}

int core_pinner_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {};
	const struct stats_request request = {.relays = STATS_RELAYS_ALL, .include_inactive = true};
	struct stats_reply *reply;
	struct err err = {};

	client_parse(&argp, CLIENT_STATS_EP | CLIENT_SCHED_EP | CLIENT_JSON, argc, argv,
		&arguments.options, &arguments);
	if (arguments.n_moves > 0 && client_core_sched_move(arguments.options.sched_endpoint,
					     arguments.moves, arguments.n_moves, &err) < 0)
		return client_fail(argv[0], &err);
	if (arguments.n_moves > 0 && !arguments.print)
		return 0;
	if (client_stats(arguments.options.stats_endpoint, &request, &reply, &err) < 0)
		return client_fail(argv[0], &err);
	if (arguments.options.json)
		print_json_map(reply);
	else
		print_map(reply);
	stats_reply_free(reply);
	return 0;
}
