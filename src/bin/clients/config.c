/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints what a running daemon says about itself: versions, features, configured pins. */

#include <stdio.h>

#include "bin/clients/clients.h"
#include "wire/client.h"
#include "wire/print.h"

static const struct argp argp = {
	.doc = "Prints the versions, the features and the configured CPU pins of a running "
	       "virtio-forwarder.\v"
	       "Exit code: 0 done, 1 refused or no answer within 2 s, 2 bad usage.",
};

int config_main(int argc, char **argv, bool compatible)
{
	struct client_options options;
	ProtobufCMessage *reply;
	struct err err = {};

	client_parse(&argp, CLIENT_CONFIG_EP | CLIENT_JSON, argc, argv, &options, NULL);
	if (client_config(options.config_endpoint, &reply, &err) < 0)
		return client_fail(argv[0], &err);
	if (options.json)
		print_json(stdout, reply);
	else
		print_protobuf(stdout, reply, true);
	client_config_free(reply);
	return 0;
}
