/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/clients/clients.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/endpoints.h"
#include "base/number.h"
#include "wire/client.h"

#define ALWAYS ~0u

enum {
	KEY_STATS_ENDPOINT = 4096, /* keys of the clients' own options are smaller */
	KEY_SCHED_ENDPOINT,
	KEY_CONFIG_ENDPOINT,
	KEY_JSON,
};

static const struct {
	unsigned with;
	struct argp_option option;
} shared[] = {
	{CLIENT_STATS_EP, {"stats-ep", KEY_STATS_ENDPOINT, "ENDPOINT", 0,
				  "stats endpoint (default: " STATS_ENDPOINT ")", 0}},
	{CLIENT_SCHED_EP, {"sched-ep", KEY_SCHED_ENDPOINT, "ENDPOINT", 0,
				  "core scheduler endpoint (default: " CORE_SCHED_ENDPOINT ")", 0}},
	{CLIENT_CONFIG_EP, {"config-ep", KEY_CONFIG_ENDPOINT, "ENDPOINT", 0,
				   "config endpoint (default: " CONFIG_ENDPOINT ")", 0}},
	{CLIENT_JSON, {"json", KEY_JSON, NULL, 0, "print JSON", 0}},
	{ALWAYS, {NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0}},
};

static error_t parse_shared(int key, char *value, struct argp_state *state)
{
	struct client_options *options = state->input;

	switch (key) {
	case KEY_STATS_ENDPOINT:
		options->stats_endpoint = value;
		return 0;
	case KEY_SCHED_ENDPOINT:
		options->sched_endpoint = value;
		return 0;
	case KEY_CONFIG_ENDPOINT:
		options->config_endpoint = value;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Parser of the whole program: passes their inputs to the two child parsers. */
static error_t parse_whole(int key, char *value, struct argp_state *state)
{
	void **inputs = state->input;

	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = inputs[0];
	state->child_inputs[1] = inputs[1];
	return 0;
}

void client_parse(const struct argp *argp, unsigned with, int argc, char **argv,
	struct client_options *ret_options, void *input)
{
	struct argp_option options[ARRAY_SIZE(shared) + 1] = {};
	const struct argp own = {.options = argp->options, .parser = argp->parser};
	const struct argp common = {.options = options, .parser = parse_shared};
	const struct argp_child children[] = {{&own, 0, NULL, 0}, {&common, 0, NULL, 0}, {}};
	const struct argp whole = {
		.parser = parse_whole,
		.args_doc = argp->args_doc,
		.doc = argp->doc,
		.children = children,
	};
	void *inputs[] = {input, ret_options};
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (shared[i].with & with || shared[i].with == ALWAYS)
			options[n++] = shared[i].option;
	*ret_options = (struct client_options){
		.stats_endpoint = STATS_ENDPOINT,
		.sched_endpoint = CORE_SCHED_ENDPOINT,
		.config_endpoint = CONFIG_ENDPOINT,
	};
	argp_parse(&whole, argc, argv, 0, NULL, inputs);
}

int client_fail(const char *program, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", program, err->text);
	return EXIT_REFUSED;
}

unsigned client_number(
	const char *option, const char *text, unsigned min, unsigned max, struct argp_state *state)
{
	unsigned value = 0;

	if (number_parse(text, max, &value) < 0 || value < min)
		argp_error(state, "%s: '%s' is no number from %u to %u", option, text, min, max);
	return value;
}
