/* SPDX-License-Identifier: BSD-3-Clause */

/* Shows on which CPUs the relays run, and moves them. */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "bin/clients/clients.h"
#include "wire/client.h"

enum {
	KEY_VIRTIO_CPU = 256,
	KEY_PRINT,
};

static const struct argp_option options[] = {
	{"virtio-cpu", KEY_VIRTIO_CPU, "RN:Ci[,Cj]", 0,
		"run relay RN on CPU Ci from VF to VM and on Cj (the same, where left out) from VM "
		"to VF; Ci+Ck+... are the CPUs of the slices of a direction that is split, whose "
		"further slices run on Ci; may be repeated",
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

/* Reads CPU[+CPU]..., and changes the text. */
static bool read_cpus(char *text, struct slice_cpus *cpus)
{
	for (char *cpu; (cpu = strsep(&text, "+")) != NULL; cpus->n++)
		if (cpus->n == SLICES_MAX ||
			number_parse(cpu, CPU_SET_MAX - 1, &cpus->cpus[cpus->n]) < 0)
			return false;
	return true;
}

static bool read_move(const char *text, struct core_move *move)
{
	_cleanup_free_ char *copy = strdup(text);
	char *vm_to_vf = copy, *relay = strsep(&vm_to_vf, ":"), *vf_to_vm = strsep(&vm_to_vf, ",");

	if (vf_to_vm == NULL || number_parse(relay, RELAYS_MAX - 1, &move->relay_id) < 0 ||
		!read_cpus(vf_to_vm, &move->vf_to_vm_slices))
		return false;
	if (vm_to_vf == NULL)
		move->vm_to_vf_slices = move->vf_to_vm_slices;
	else if (!read_cpus(vm_to_vf, &move->vm_to_vf_slices))
		return false;
	move->vf_to_vm_cpu = move->vf_to_vm_slices.cpus[0];
	move->vm_to_vf_cpu = move->vm_to_vf_slices.cpus[0];
	return true;
}

static void add_move(struct arguments *arguments, const char *text, struct argp_state *state)
{
	struct core_move move = {};

	if (!read_move(text, &move))
		argp_error(state,
			"--virtio-cpu: '%s' is no placement: RELAY:CPU or RELAY:CPU,CPU, relays "
			"are 0 to %d, CPUs 0 to %d",
			text, RELAYS_MAX - 1, CPU_SET_MAX - 1);
	/* Cannot overflow, since all relay ids differ. */
	for (unsigned i = 0; i < arguments->n_moves; i++)
		if (arguments->moves[i].relay_id == move.relay_id)
			argp_error(state, "--virtio-cpu: relay %u is given twice", move.relay_id);
	arguments->moves[arguments->n_moves++] = move;
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
	       "The map has one line RN:Ci,Cj a relay that runs, as --virtio-cpu takes it; under "
	       "its compatible name the program shows the first slice only. A "
	       "request that cannot be carried out moves nothing; a direction that does not run "
	       "is not moved, which is no error.\n"
	       "Exit code: 0 done, 1 refused or no answer within 2 s, 2 bad usage.",
};

static bool is_spread(const struct direction_stats *stats)
{
	for (unsigned i = 1; i < stats->n_slices; i++)
		if (stats->slices[i].cpu != stats->slices[0].cpu)
			return true;
	return false;
}

static void print_cpus(char before, const struct direction_stats *stats, bool slices)
{
	printf("%c%d", before, stats->cpu);
	for (unsigned i = 1; slices && is_spread(stats) && i < stats->n_slices; i++)
		printf("+%d", stats->slices[i].cpu);
}

static void print_map(const struct stats_reply *reply, bool slices)
{
	for (unsigned i = 0; i < reply->n; i++) {
		const struct relay_stats *relay = &reply->relays[i];

		if (relay->vf_to_vm.cpu < 0 || relay->vm_to_vf.cpu < 0)
			continue;
		printf("%u", relay->id);
		print_cpus(':', &relay->vf_to_vm, slices);
		print_cpus(',', &relay->vm_to_vf, slices);
		putchar('\n');
	}
}

/* The CPUs of the slices; NULL if the direction is not split. */
static json_t *slices_to_json(const struct direction_stats *stats)
{
	json_t *cpus = stats->n_slices > 1 ? json_array() : NULL;

	for (unsigned i = 0; cpus != NULL && i < stats->n_slices; i++)
		json_array_append_new(cpus, json_integer(stats->slices[i].cpu));
	return cpus;
}

static void print_json_map(const struct stats_reply *reply)
{
	json_t *map = json_array();

	for (unsigned i = 0; i < reply->n; i++) {
		const struct relay_stats *relay = &reply->relays[i];

		if (relay->vf_to_vm.cpu >= 0 && relay->vm_to_vf.cpu >= 0)
			json_array_append_new(map,
				json_pack("{sisisiso*so*}", "relay", (int)relay->id, "vf_to_vm",
					relay->vf_to_vm.cpu, "vm_to_vf", relay->vm_to_vf.cpu,
					"vf_to_vm_slices", slices_to_json(&relay->vf_to_vm),
					"vm_to_vf_slices", slices_to_json(&relay->vm_to_vf)));
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
		print_map(reply, !compatible);
	stats_reply_free(reply);
	return 0;
}
