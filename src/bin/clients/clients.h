/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The clients: each is a program of its own under its compatible name and a command of vio4wd.
 * Exit code 0: done; 1: refused, or no answer; 2: bad usage.
 */

#include <argp.h>
#include <stdbool.h>

#include "base/err.h"

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

/*
 * A program: argv[0] is its name for help and messages. `compatible`: called by its old name, so it
 * prints nothing that the old one did not have. Returns the exit code; bad usage and --help exit.
 */
typedef int client_main(int argc, char **argv, bool compatible);

client_main port_control_main;
client_main stats_main;
client_main capture_main;
client_main check_host_main;
client_main core_pinner_main;
client_main config_main;
client_main guest_config_main;
client_main vf_main;

/* Options that several clients have. Each client says which are its own. */
enum {
	CLIENT_STATS_EP = 1,
	CLIENT_SCHED_EP = 2,
	CLIENT_CONFIG_EP = 4,
	CLIENT_JSON = 8,
};

struct client_options {
	const char *stats_endpoint; /* as given, or the default */
	const char *sched_endpoint;
	const char *config_endpoint;
	bool json;
};

/*
 * Parses a command line by `argp`, to whose options it adds -h and those of `with`. `input` is what
 * the parser finds in state->input. Bad usage and --help exit.
 */
void client_parse(const struct argp *argp, unsigned with, int argc, char **argv,
	struct client_options *ret_options, void *input);

/* Prints the reason on standard error; returns EXIT_REFUSED. */
int client_fail(const char *program, const struct err *err);

/* The value of an option or argument, min..max; anything else is bad usage. */
unsigned client_number(
	const char *option, const char *text, unsigned min, unsigned max, struct argp_state *state);
