/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/top.h"

#include <stdio.h>

#include "base/clock.h"
#include "bin/clients/clients.h"
#include "bin/sched/meter.h"
#include "bin/sched/terminal.h"
#include "bin/sched/top_view.h"

#define INTERVAL_DEFAULT_S 1.0
#define INTERVAL_MAX_S 3600.0
#define FIRST_INTERVAL_S 0.2 /* show the first picture soon */

enum { KEY_POLL_INTERVAL = 256 };

static const struct argp_option options[] = {
	{"poll-interval", KEY_POLL_INTERVAL, "SECONDS", 0,
		"seconds between two pictures (default: 1)", 0},
	{},
};

struct top {
	struct client_options options;
	double interval_s;
	struct terminal terminal;
	struct meter meter;
	struct cpu_set workers;
	bool workers_known;
};

static double parse_interval(const char *text, struct argp_state *state)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.05 && seconds <= INTERVAL_MAX_S))
		argp_error(state, "--poll-interval: '%s' is no number of seconds, 0.05 to %.0f",
			text, INTERVAL_MAX_S);
	return seconds;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct top *top = state->input;

	switch (key) {
	case KEY_POLL_INTERVAL:
		top->interval_s = parse_interval(value, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Shows the load of virtio-forwarder's workers and the rates of its relays, again "
	       "and again, until q is pressed.\v"
	       "A bar is the share of time in which a worker has had packets to carry; where the "
	       "daemon does not measure that, an estimate from packet rates. Waiting is the time "
	       "in which a worker could have run while its CPU ran something else. A direction "
	       "that is split over device queues is a lane on each of its workers; 11+ is CPU 11 "
	       "and others. A VF that is on is attached, but may have no link. Into a pipe or "
	       "file go plain lines, a blank one after each picture.\n"
	       "Exit code: 0 ended by the user, 1 no answer at first, 2 bad usage.",
};

/*
 * Adds the workers named in the statistics or running a direction: the core scheduler endpoint may
 * be off.
 */
static void guess_workers(struct top *top)
{
	const struct stats_reply *now = top->meter.now;

	for (unsigned i = 0; i < now->n_workers; i++)
		if (now->workers[i].cpu < CPU_SET_MAX)
			cpu_set_add(&top->workers, now->workers[i].cpu);
	for (unsigned i = 0; i < now->n; i++)
		for (unsigned d = 0; d < DIRECTIONS_N; d++) {
			int cpu = meter_direction(&now->relays[i], d)->cpu;

			if (cpu >= 0 && cpu < CPU_SET_MAX)
				cpu_set_add(&top->workers, (unsigned)cpu);
		}
}

static int sample(struct top *top, struct err *err)
{
	const struct stats_request request = {.relays = STATS_RELAYS_ALL, .include_inactive = true};
	struct stats_reply *reply;
	int r = client_stats(top->options.stats_endpoint, &request, &reply, err);

	if (r < 0) {
		meter_reset(&top->meter);
		top->workers_known = false;
		return r;
	}
	if (!meter_take(&top->meter, reply, clock_monotonic_ns()))
		top->workers_known = false;
	if (!top->workers_known) {
		top->workers = (struct cpu_set){};
		client_core_sched_cpus(top->options.sched_endpoint, &top->workers, NULL);
		top->workers_known = true;
	}
	guess_workers(top);
	return 0;
}

static void paint(const struct top *top, const struct err *err)
{
	const char *end = terminal_line_end(&top->terminal);

	terminal_begin(&top->terminal);
	if (err)
		printf("%s%s", err->text, end);
	else
		top_view_print(
			stdout, &top->meter, &top->workers, terminal_size(&top->terminal), end);
	terminal_end(&top->terminal);
}

/* Repaints until the user or a closed pipe ends it. */
static void watch(struct top *top)
{
	double wait_s = MIN(FIRST_INTERVAL_S, top->interval_s);

	while (terminal_wait(&top->terminal, wait_s) && !ferror(stdout)) {
		struct err err = {};
		int r = sample(top, &err);

		if (r < 0)
			paint(top, &err);
		else if (meter_has_rates(&top->meter))
			paint(top, NULL);
		wait_s = top->interval_s;
	}
}

int top_main(int argc, char **argv, bool compatible)
{
	struct top top = {.interval_s = INTERVAL_DEFAULT_S};
	struct err err = {};

	client_parse(&argp, CLIENT_STATS_EP | CLIENT_SCHED_EP, argc, argv, &top.options, &top);
	if (sample(&top, &err) < 0)
		return client_fail(argv[0], &err);
	terminal_open(&top.terminal);
	watch(&top);
	terminal_close(&top.terminal);
	meter_reset(&top.meter);
	return 0;
}
