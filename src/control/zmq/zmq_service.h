/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The server side of one ZeroMQ endpoint, run by the control thread's event loop.
 *
 * Clients are REQ sockets. The server is a ROUTER socket, which looks like a REP socket on the wire
 * but is not limited to one request at a time: a delayed answer holds nobody up, and a client that
 * vanished leaves nothing behind. Requests are handled in the order of their arrival, unless more
 * are waiting than a turn takes. What a client can make us keep is bounded, with one exception:
 *
 *   frame               ZMQ_MAXMSGSIZE; libzmq closes the connection on a longer one
 *   requests unread     ZMQ_RCVHWM per connection; the rest stays in the client
 *   requests unanswered ZMQ_REQUESTS_MAX per service; then we stop reading until one is answered
 *   answers unread      ZMQ_SNDHWM per connection; further answers to it are dropped
 *   work at a time      a fixed number of requests, fewer if they take long (turn.h), and a fixed
 *                       number of frames of a message that is no request; then the other event
 *                       sources have a turn
 *
 * The exception is the number of frames in one message. libzmq receives all of them before we see
 * the first, counts them as one message, and has no option that limits them. So whoever can connect
 * to an endpoint can make the daemon use up its memory, until the connection is closed.
 *
 * ZMQ_FD is edge-triggered, and any call on the socket, even a send, can consume what it signals.
 * One invariant keeps us from sleeping while a request is waiting: after everything that we do with
 * the socket, either the last receive returned EAGAIN, or the `again` source is enabled, which
 * tries to receive in the next iteration of the loop.
 *
 * All functions: control thread, never blocking, except that zmq_service_new() accesses the file
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

/* Where a service is to listen. The address must outlive the service. */
struct zmq_endpoint {
	sd_event *event;
	void *zmq_ctx;
	const char *address; /* "ipc:///var/run/virtio-forwarder/stats", ... */
};

/*
 * Called for each request. `data` is valid during the call only. The handler owns the request and
 * must end it, now or later, with zmq_request_reply() or zmq_request_answer().
 */
typedef void zmq_request_handler(
	void *userdata, struct zmq_request *request, const void *data, size_t length);

/*
 * Opens the endpoint. For ipc: missing directories are created (mode 0755), a socket left by a dead
 * process is replaced, and a live one is refused (-EADDRINUSE). The socket file has mode 0660, and
 * never more permissions than that.
 */
int zmq_service_new(struct zmq_service **ret_service, const struct zmq_endpoint *endpoint,
	zmq_request_handler *handler, void *userdata, struct err *err);

/*
 * Closes the endpoint and removes its socket file. Answers already sent get LINGER_MS to leave
 * (ZMQ_LINGER). Unanswered requests stay valid; replying to one then only frees it.
 */
struct zmq_service *zmq_service_free(struct zmq_service *service);

/*
 * Sends a copy of `data` and frees the request. If the client is gone or does not read, the answer
 * is dropped.
 */
void zmq_request_reply(struct zmq_request *request, const void *data, size_t length);

/*
 * Replies with the message that an encoder has made, and frees both message and request. `r` is the
 * encoder's result: after -ENOMEM no answer is sent.
 */
void zmq_request_answer(struct zmq_request *request, int r, struct wire_message *message);
