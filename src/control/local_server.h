/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A server of one request a connection on a listening stream socket, run by the control thread's
 * event loop. It never blocks, and everything a client can make us keep is bounded:
 *
 *   connections      `clients_max`; one more, and the oldest that is not kept is closed, or, where
 *                    all are, the new one
 *   request          `request_max` bytes, and as many after its end
 *   time             from the first moment to the last byte of the answer `timeout_us`
 *   work at a time   one read or write a connection, then the event loop's other sources have a
 * turn
 *
 * All functions: control thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"

struct local_server;
struct local_client;

enum local_verdict {
	LOCAL_MORE,   /* the request is not whole yet */
	LOCAL_TAKEN,  /* answered or kept */
	LOCAL_REFUSE, /* close the connection */
};

struct local_server_options {
	int fd; /* listening and non-blocking; stays the caller's */
	unsigned clients_max;
	size_t request_max;
	uint64_t timeout_us;
	/*
	 * Looks at all the bytes that have come so far. At request_max it must not ask for more.
	 */
	enum local_verdict (*on_request)(
		void *userdata, struct local_client *client, const char *data, size_t length);
	/* A client that was kept has gone, by itself or with the server; may be NULL. */
	void (*on_gone)(void *userdata, struct local_client *client);
	void *userdata;
};

int local_server_new(struct local_server **ret_server, sd_event *event,
	const struct local_server_options *options, struct err *err);

/* Closes all connections. */
struct local_server *local_server_free(struct local_server *server);

/* Sends a copy of `data` and closes the connection afterwards. 0 or -ENOMEM. */
int local_client_answer(struct local_client *client, const void *data, size_t length);

/* The connection stays until its client closes it, whatever the time; what it sends is ignored. */
void local_client_keep(struct local_client *client);

int local_client_fd(const struct local_client *client);
