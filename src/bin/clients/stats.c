/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints the statistics of the relays. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bin/clients/clients.h"
#include "wire/client.h"
#include "wire/print.h"

#define DELAY_DEFAULT_MS 200

enum {
	KEY_INACTIVE = 256,
	KEY_DELAY,
	KEY_RELAY,
	KEY_FORMAT,
};

static const struct argp_option options[] = {
	{"include-inactive", KEY_INACTIVE, NULL, 0, "also relays without a device or without a VM",
		0},
	{"delay", KEY_DELAY, "MS", 0, "take rates over MS milliseconds (default: 200)", 0},
	{"relay", KEY_RELAY, "N", 0, "only relay N; may be repeated", 0},
	{"output-format", KEY_FORMAT, "flat|protobuf|json", 0,
		"flat: one name=value a line (default); protobuf: its text format", 0},
	{"suppress-zero", 'z', NULL, 0, "leave out counters and rates that are zero (flat)", 0},
	{},
};

enum format {
	FORMAT_FLAT,
	FORMAT_PROTOBUF,
	FORMAT_JSON,
};

struct arguments {
	struct client_options options;
	struct stats_request request;
	enum format format;
	bool suppress_zero;
};

static void set_format(struct arguments *arguments, const char *text, struct argp_state *state)
{
	static const char *const names[] = {
		[FORMAT_FLAT] = "flat", [FORMAT_PROTOBUF] = "protobuf", [FORMAT_JSON] = "json"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			arguments->format = i;
			return;
		}
	}
	argp_error(state, "--output-format: '%s' is none of flat, protobuf, json", text);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_INACTIVE:
		arguments->request.include_inactive = true;
		return 0;
	case KEY_DELAY:
		arguments->request.delay_ms =
			client_number("--delay", value, 0, CLIENT_DELAY_MAX_MS, state);
		return 0;
	case KEY_RELAY:
		arguments->request.relays |=
			UINT64_C(1) << client_number("--relay", value, 0, RELAYS_MAX - 1, state);
		return 0;
	case KEY_FORMAT:
		set_format(arguments, value, state);
		return 0;
	case 'z':
		arguments->suppress_zero = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Prints the state and the counters of virtio-forwarder's relays.\v"
	       "Exit code: 0 done, 1 refused or no answer within 2 s and the delay, 2 bad usage.",
};

/* The words for one direction in its lines and counters. */
struct direction_names {
	const char *direction;
	const char *source;
	const char *destination;
};

static const struct direction_names vf_to_vm_names = {"vf_to_vm", "vf", "vm"};
static const struct direction_names vm_to_vf_names = {"vm_to_vf", "vm", "vf"};

/* "relay_0.vf_to_vm.cpu_1." */
struct line_prefix {
	char text[64];
	bool suppress_zero;
};

static void print_counter(const struct line_prefix *prefix, const char *unit, const char *what,
	const char *end, const char *rest, uint64_t value)
{
	if (value || !prefix->suppress_zero)
		printf("%s%s_%s%s%s=%" PRIu64 "\n", prefix->text, unit, what, end, rest, value);
}

static void print_count(const struct line_prefix *prefix, const char *what, const char *end,
	const char *rest, struct packet_count count)
{
	print_counter(prefix, "pkts", what, end, rest, count.packets);
	print_counter(prefix, "bytes", what, end, rest, count.bytes);
}

static void print_rate(const struct line_prefix *prefix, const char *unit, const char *what,
	const char *end, double value)
{
	char text[PRINT_FLOAT_SIZE];

	if (value == 0.0 && prefix->suppress_zero)
		return;
	print_float(value, text);
	printf("%s%s_rate_%s%s=%s\n", prefix->text, unit, what, end, text);
}

static void print_extensions(const struct line_prefix *prefix, const struct direction_stats *stats)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		char what[64];

		snprintf(what, sizeof(what), "drop_%s", drop_reason_name(i));
		print_count(prefix, what, "", "", stats->dropped[i]);
	}
	print_count(prefix, "backlog", "", "", stats->backlog);
}

static void print_direction(const struct direction_names *names, unsigned relay_id,
	const struct direction_stats *stats, const struct direction_rates *rates,
	bool suppress_zero, bool extensions)
{
	struct line_prefix prefix = {.suppress_zero = suppress_zero};

	snprintf(prefix.text, sizeof(prefix.text), "relay_%u.%s.", relay_id, names->direction);
	printf("%sactive=%s\n", prefix.text, stats->active ? "True" : "False");
	printf("%sinternal_state=%s\n", prefix.text, stats->internal_state);

	snprintf(prefix.text, sizeof(prefix.text), "relay_%u.%s.cpu_%d.", relay_id,
		names->direction, stats->cpu);
	print_count(&prefix, "rx_from_", names->source, "", stats->received);
	print_count(&prefix, "tx_to_", names->destination, "", stats->sent);
	print_count(&prefix, "dropped_", names->destination, "_queue_full",
		dropped_while_connected(stats));
	print_count(&prefix, "dropped_", names->destination, "_not_connected",
		stats->dropped[DROP_NOT_CONNECTED]);
	print_rate(&prefix, "pkt", "rx_from_", names->source, rates->received_packets);
	print_rate(&prefix, "byte", "rx_from_", names->source, rates->received_bytes);
	print_rate(&prefix, "pkt", "tx_to_", names->destination, rates->sent_packets);
	print_rate(&prefix, "byte", "tx_to_", names->destination, rates->sent_bytes);
	if (extensions)
		print_extensions(&prefix, stats);
}

static void print_relay(const struct relay_stats *relay, const struct relay_rates *rates,
	bool suppress_zero, bool extensions)
{
	printf("relay_%u.active=%s\n", relay->id, relay->active ? "True" : "False");
	if (relay->ident[0])
		printf("relay_%u.ident=%s\n", relay->id, relay->ident);
	if (relay->vf_to_vm.cpu >= 0)
		printf("relay_%u.cpu.vf_to_vm=%d\n", relay->id, relay->vf_to_vm.cpu);
	if (relay->vm_to_vf.cpu >= 0)
		printf("relay_%u.cpu.vm_to_vf=%d\n", relay->id, relay->vm_to_vf.cpu);
	printf("relay_%u.socket_id=%u\n", relay->id, relay->socket_id);
	if (relay->device[0])
		printf("relay_%u.vf.pci_addr_str=%s\n", relay->id, relay->device);
	if (extensions && relay->vhost_path[0])
		printf("relay_%u.vhost.socket_mode=%s\n", relay->id,
			relay->vm.listens ? "client" : "server");
	printf("relay_%u.vhost.vhost_socket_name=%s\n", relay->id,
		relay->vhost_path[0] ? relay->vhost_path : "NONE");
	print_direction(&vf_to_vm_names, relay->id, &relay->vf_to_vm, &rates->vf_to_vm,
		suppress_zero, extensions);
	print_direction(&vm_to_vf_names, relay->id, &relay->vm_to_vf, &rates->vm_to_vf,
		suppress_zero, extensions);
}

int stats_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {.request.delay_ms = DELAY_DEFAULT_MS};
	struct stats_reply *reply;
	struct err err = {};

	client_parse(
		&argp, CLIENT_STATS_EP | CLIENT_JSON, argc, argv, &arguments.options, &arguments);
	if (arguments.request.relays == 0)
		arguments.request.relays = STATS_RELAYS_ALL;
	if (arguments.options.json)
		arguments.format = FORMAT_JSON;
	if (client_stats(arguments.options.stats_endpoint, &arguments.request, &reply, &err) < 0)
		return client_fail(argv[0], &err);
	switch (arguments.format) {
	case FORMAT_FLAT:
		for (unsigned i = 0; i < reply->n; i++)
			print_relay(&reply->relays[i], &reply->rates[i], arguments.suppress_zero,
				!compatible);
		break;
	case FORMAT_PROTOBUF:
		print_protobuf(stdout, reply->message, !compatible);
		break;
	case FORMAT_JSON:
		print_json(stdout, reply->message);
		break;
	}
	stats_reply_free(reply);
	return 0;
}
