/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The client side of every endpoint. Each function sends one request and blocks for at most
 * CLIENT_TIMEOUT_MS; any thread. Returns 0, -ETIMEDOUT if nobody answered, or another negative
 * errno, with the reason in err.
 */

#include <limits.h>

#include "base/limits.h"
#include "control/op.h"
#include "wire/core_sched_codec.h"
#include "wire/stats_codec.h"

#define CLIENT_TIMEOUT_MS 2000
#define CLIENT_DELAY_MAX_MS (INT_MAX - CLIENT_TIMEOUT_MS) /* for statistics */

/*
 * Has the daemon do `op`. Returns 0 if the daemon refused, too: *ret_result tells. What is not set
 * in `op` is not sent; a bond's mode is sent with its name.
 */
int client_port_control(
	const char *endpoint, const struct op *op, struct op_result *ret_result, struct err *err);

struct stats_reply {
	ProtobufCMessage *message; /* the whole answer, for printing */
	unsigned n;
	struct relay_stats relays[RELAYS_MAX]; /* ids < RELAYS_MAX; internal_state: in message */
	struct relay_rates rates[RELAYS_MAX];
	unsigned n_workers; /* 0 if the daemon does not tell */
	struct worker_stats workers[WORKERS_MAX];
};

/*
 * Requests statistics; waits for the request's delay in addition to the timeout. If a daemon does
 * not report drops by reason, they are all under DROP_QUEUE_FULL and DROP_NOT_CONNECTED. Free
 * *ret_reply with stats_reply_free().
 */
int client_stats(const char *endpoint, const struct stats_request *request,
	struct stats_reply **ret_reply, struct err *err);

struct stats_reply *stats_reply_free(struct stats_reply *reply);

/* Moves relays to other worker CPUs: all or none. */
int client_core_sched_move(
	const char *endpoint, const struct core_move *moves, unsigned n, struct err *err);

/* Asks which CPUs run workers. */
int client_core_sched_cpus(const char *endpoint, struct cpu_set *ret_cpus, struct err *err);

/*
 * Asks what the daemon says about itself: a ConfigResponse, for printing. Free it with
 * client_config_free().
 */
int client_config(const char *endpoint, ProtobufCMessage **ret_reply, struct err *err);
void client_config_free(ProtobufCMessage *reply);
