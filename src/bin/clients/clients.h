/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The clients. Each is a command of vio4wd, and some are also programs of their own under a
 * compatible name. Exit code 0: done; 1: refused, or no answer; 2: bad usage.
 */

#include <argp.h>
#include <stdbool.h>

#include "base/err.h"

#define EXIT_REFUSED 1

/*
 * The main function of a client: argv[0] is its name for help and messages. `compatible`: it was
 * called by its original name, so it prints nothing that the original did not. Returns the exit
 * code; bad usage and --help exit.
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

/* Options shared by several clients. Each client says which of them it has. */
enum {
	CLIENT_STATS_EP = 1,
	CLIENT_SCHED_EP = 2,
	CLIENT_CONFIG_EP = 4,
	CLIENT_JSON = 8,
};

struct client_options {
	const char *stats_endpoint; /* as given, or the default; so are the next two */
	const char *sched_endpoint;
	const char *config_endpoint;
	bool json;
};

/*
 * Parses a command line with `argp`, to whose options it adds -h and those selected by `with`. The
 * parser finds `input` in state->input. Bad usage and --help exit.
 */
void client_parse(const struct argp *argp, unsigned with, int argc, char **argv,
	struct client_options *ret_options, void *input);

/* Prints the reason to standard error; returns EXIT_REFUSED. */
int client_fail(const char *program, const struct err *err);

/* Parses the value of an option or argument, min..max; anything else is bad usage. */
unsigned client_number(
	const char *option, const char *text, unsigned min, unsigned max, struct argp_state *state);
