/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One client connection that speaks JSON-RPC 1.0 as OVSDB does (RFC 7047, section 4). Answers the
 * peer's echo requests, and sends its own where the peer is silent: a peer that does not answer is
 * given up. Used by the control thread alone; nothing blocks.
 */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "control/ovsdb/stream.h"

#define JSONRPC_MESSAGE_MAX (16 * 1024 * 1024) /* bytes; longer ones end the connection */
#define JSONRPC_OUTPUT_MAX (1024 * 1024)       /* bytes the peer may leave unread */

struct jsonrpc;

struct jsonrpc_callbacks {
	/* The connection is established. */
	void (*connected)(void *userdata);
	/* A request, notification or reply that is no echo; borrowed. */
	void (*message)(void *userdata, const json_t *message);
	/* The connection has ended, the last call of all; the only one that may free the
	 * connection. */
	void (*closed)(void *userdata, const struct err *reason);
};

/*
 * Starts to connect. The outcome is told by the callbacks, never from within this call. `probe_ms`:
 * after so much silence the peer is asked for a sign of life, and after as much again it is given
 * up; connecting may take as long. Keeps *callbacks, which must stay.
 */
int jsonrpc_new(struct jsonrpc **ret_rpc, sd_event *event, const struct ovsdb_endpoint *endpoint,
	const struct stream_credentials *credentials, unsigned probe_ms,
	const struct jsonrpc_callbacks *callbacks, void *userdata, struct err *err);

/* Ends the connection without a call of closed(). Not from connected() or message(). */
struct jsonrpc *jsonrpc_free(struct jsonrpc *rpc);

/* Sends a message, which it takes over (NULL: out of memory). What cannot be sent ends the
 * connection. */
void jsonrpc_send(struct jsonrpc *rpc, json_t *message);

/* Ends the connection soon, with a call of closed(). For a peer that breaks the protocol. */
void jsonrpc_fail(struct jsonrpc *rpc, const char *fmt, ...) _printf_(2, 3);
