/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The server side of one ZeroMQ endpoint, run by the control thread's event loop.
 *
 * Clients are REQ sockets. The server is a ROUTER, which on the wire is all that REP is, without
 * REP's one request at a time: an answer that takes its time holds nobody up, and a client that
 * vanished leaves nothing behind. Everything a client can make us keep is bounded:
 *
 *   message             ZMQ_MAXMSGSIZE, else libzmq closes the connection
 *   requests unread     ZMQ_RCVHWM a connection; the rest stays in the client
 *   requests unanswered ZMQ_REQUESTS_MAX a service; then we stop reading until one is answered
 *   answers unread      ZMQ_SNDHWM a connection; then further answers to it are dropped
 *   work at a time      a fixed number of requests, fewer where they take long (turn.h), then the
 *                       event loop's other sources have a turn
 *
 * ZMQ_FD is edge-triggered, and what it signals can be consumed by any call on the socket, sending
 * included. The invariant that keeps us from sleeping on a request: after everything we do with the
 * socket, either a receive has said EAGAIN last, or the `again` source is enabled, which tries
 * again in the next round of the loop.
 *
 * All functions: control thread, never blocking, except that zmq_service_new() touches the file
 * system.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/err.h"

#define ZMQ_REQUESTS_MAX 256
#define ZMQ_REQUEST_SIZE_MAX (64 * 1024)

struct wire_message;
struct zmq_service;
struct zmq_request;

/* Where a service is to listen. */
struct zmq_endpoint {
	sd_event *event;
	void *zmq_ctx;
	const char *address; /* "ipc:///var/run/virtio-forwarder/stats", ... */
};

/*
 * Called for each request. `data` is valid during the call. The handler takes the request and
 * answers it with zmq_request_reply(), at once or later, or gives it up with zmq_request_drop().
 */
typedef void zmq_request_handler(
	void *userdata, struct zmq_request *request, const void *data, size_t length);

/*
 * Opens the endpoint. For ipc: a missing directory is made (0755, and those above it), a socket
 * that a dead process left is replaced, a live one refused (-EADDRINUSE); the socket's mode is 0660
 * from its first moment.
 */
int zmq_service_new(struct zmq_service **ret_service, const struct zmq_endpoint *endpoint,
	zmq_request_handler *handler, void *userdata, struct err *err);

/*
 * Closes the endpoint and removes its socket file. What was answered is given a moment to leave
 * (see ZMQ_LINGER); requests still unanswered stay valid, and answering them then only frees them.
 */
struct zmq_service *zmq_service_free(struct zmq_service *service);

/* Sends a copy of `data` and frees the request. A client that is gone or does not read gets
 * nothing. */
void zmq_request_reply(struct zmq_request *request, const void *data, size_t length);

/*
 * Replies with what an encoder has made, and frees that too. `r` is the encoder's: where it has
 * found no memory (-ENOMEM), there is no answer.
 */
void zmq_request_answer(struct zmq_request *request, int r, struct wire_message *message);

/* Frees the request without an answer. */
void zmq_request_drop(struct zmq_request *request);
