/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The client side of every endpoint. Each function asks once and blocks for at most
 * CLIENT_TIMEOUT_MS; any thread. It returns 0, -ETIMEDOUT where nobody answered, or another
 * negative errno, with the reason in err.
 */

#include <limits.h>

#include "base/limits.h"
#include "control/op.h"
#include "wire/core_sched_codec.h"
#include "wire/stats_codec.h"

#define CLIENT_TIMEOUT_MS 2000
#define CLIENT_DELAY_MAX_MS (INT_MAX - CLIENT_TIMEOUT_MS) /* of the statistics */

/*
 * Has the daemon do `op`. Whether it did is in *ret_result: 0 is returned for a refusal too. What
 * is not set in `op` is not sent; a bond's mode goes with its name.
 */
int client_port_control(
	const char *endpoint, const struct op *op, struct op_result *ret_result, struct err *err);

struct stats_reply {
	ProtobufCMessage *message; /* the whole answer, for printing */
	unsigned n;
	struct relay_stats
		relays[RELAYS_MAX]; /* ids below RELAYS_MAX; texts point into the message */
	struct relay_rates rates[RELAYS_MAX];
	unsigned n_workers; /* 0 where the daemon does not tell */
	struct worker_stats workers[WORKERS_MAX];
};

/*
 * Asks for statistics; waits for the request's delay on top of the timeout. A daemon that does not
 * tell drops by reason has them all under DROP_QUEUE_FULL and DROP_NOT_CONNECTED.
 */
int client_stats(const char *endpoint, const struct stats_request *request,
	struct stats_reply **ret_reply, struct err *err);

struct stats_reply *stats_reply_free(struct stats_reply *reply);

/* Moves relays to other worker CPUs, all or none. */
int client_core_sched_move(
	const char *endpoint, const struct core_move *moves, unsigned n, struct err *err);

/* Which CPUs are workers. */
int client_core_sched_cpus(const char *endpoint, struct cpu_set *ret_cpus, struct err *err);

/* Which relays are pinned by the configuration, and where. */
int client_pins(const char *endpoint, struct core_move ret_pins[static RELAYS_MAX], unsigned *ret_n,
	struct err *err);

/* What the daemon says about itself: a ConfigResponse, for printing. */
int client_config(const char *endpoint, ProtobufCMessage **ret_reply, struct err *err);
void client_config_free(ProtobufCMessage *reply);
