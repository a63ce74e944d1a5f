/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints what a running daemon says about itself: versions, features, configured pins. */

#include <argp.h>
#include <stdio.h>

#include "bin/clients/clients.h"
#include "wire/client.h"
#include "wire/print.h"

enum {
	KEY_ENDPOINT = 256,
	KEY_JSON,
};

static const struct argp_option options[] = {
	{"config-ep", KEY_ENDPOINT, "ENDPOINT", 0,
		"config endpoint (default: " CLIENT_CONFIG_ENDPOINT ")", 0},
	{"json", KEY_JSON, NULL, 0, "print it as JSON", 0},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0},
	{},
};

struct arguments {
	const char *endpoint;
	bool json;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_ENDPOINT:
		arguments->endpoint = value;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Prints the versions, the features and the configured CPU pins of a running "
	       "virtio-forwarder.\v"
	       "Exit code: 0 done, 1 refused or no answer within 2 s, 2 bad usage.",
};

int config_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {.endpoint = CLIENT_CONFIG_ENDPOINT};
	ProtobufCMessage *reply;
	struct err err = {};

	argp_parse(&argp, argc, argv, ARGP_NO_ARGS, NULL, &arguments);
	if (client_config(arguments.endpoint, &reply, &err) < 0)
		return client_fail(argv[0], &err);
	if (arguments.json)
		print_json(stdout, reply);
	else
		print_protobuf(stdout, reply, true);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}
