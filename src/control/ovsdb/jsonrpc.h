/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A client connection that speaks JSON-RPC 1.0 as OVSDB does (RFC 7047, section 4). It answers the
 * peer's echo requests, and sends its own when the peer is silent; a peer that does not answer is
 * given up. Control thread; nothing blocks.
 */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "control/ovsdb/stream.h"

#define JSONRPC_MESSAGE_MAX (16 * 1024 * 1024) /* bytes; longer ones end the connection */
#define JSONRPC_OUTPUT_MAX (1024 * 1024)       /* bytes that the peer may leave unread */

struct jsonrpc;

struct jsonrpc_callbacks {
	/* The connection is established. */
	void (*connected)(void *userdata);
	/* A request, a notification, or a reply other than to an echo; borrowed. */
	void (*message)(void *userdata, const json_t *message);
	/*
	 * The connection has ended: the last callback, and the only one that may free the
	 * connection.
	 */
	void (*closed)(void *userdata, const struct err *reason);
};

/*
 * Starts to connect. The callbacks tell the outcome; none is called from within this function.
 * `probe_ms`: after so much silence the peer is probed with an echo request, and after as much
 * again it is given up. Connecting may take `probe_ms` too. Keeps the pointer to *callbacks, which
 * must outlive the connection.
 */
int jsonrpc_new(struct jsonrpc **ret_rpc, sd_event *event, const struct ovsdb_endpoint *endpoint,
	const struct stream_credentials *credentials, unsigned probe_ms,
	const struct jsonrpc_callbacks *callbacks, void *userdata, struct err *err);

/*
 * Ends the connection without calling closed(). Must not be called from connected() or message().
 */
struct jsonrpc *jsonrpc_free(struct jsonrpc *rpc);

/*
 * Sends a message and takes over the reference to it (NULL: out of memory). If it cannot be sent,
 * the connection ends.
 */
void jsonrpc_send(struct jsonrpc *rpc, json_t *message);

/*
 * Ends the connection because the peer breaks the protocol; closed() is called later, from the
 * event loop.
 */
void jsonrpc_fail(struct jsonrpc *rpc, const char *fmt, ...) _printf_(2, 3);
