/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A server on a listening stream socket that serves one request per connection, run by the control
 * thread's event loop. It never blocks, unless on_request() does, and everything that a client can
 * make us keep is bounded:
 *
 *   connections      16. One more closes the oldest one that is not kept; if all are kept, the new
 *                    one is closed
 *   request          `request_max` bytes, and as many again after its end
 *   time             5 s from the connection to the last byte of the answer
 *   work at a time   one read or write per connection, then the other event sources have a turn
 *
 * All functions: control thread.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/err.h"

struct local_server;
struct local_client;

enum local_verdict {
	LOCAL_MORE,   /* the request is not whole yet */
	LOCAL_TAKEN,  /* on_request() has answered the client or kept it */
	LOCAL_REFUSE, /* close the connection */
};

struct local_server_options {
	int fd; /* listening and non-blocking; the caller keeps and closes it */
	size_t request_max;
	/*
	 * Judges all bytes received so far. Must not return LOCAL_MORE once there are request_max
	 * bytes: the connection is closed then.
	 */
	enum local_verdict (*on_request)(
		void *userdata, struct local_client *client, const char *data, size_t length);
	/* A kept client has disconnected, or the server is being freed. May be NULL. */
	void (*on_gone)(void *userdata, struct local_client *client);
	void *userdata;
};

int local_server_new(struct local_server **ret_server, sd_event *event,
	const struct local_server_options *options, struct err *err);

/* Closes all connections. */
struct local_server *local_server_free(struct local_server *server);

/* Sends a copy of `data` and closes the connection afterwards. 0 or -ENOMEM. */
int local_client_answer(struct local_client *client, const void *data, size_t length);

/*
 * Keeps the connection until the client closes it, without a timeout. What the client sends from
 * now on is ignored.
 */
void local_client_keep(struct local_client *client);

int local_client_fd(const struct local_client *client);
