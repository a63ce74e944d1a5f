/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/zmq_service.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/endpoints.h"
#include "base/log.h"
#include "control/ipc_listener.h"
#include "control/turn.h"
#include "wire/message.h"

#define REQUESTS_PER_TURN 16
#define FRAMES_SKIPPED_PER_TURN 1024
#define ANSWERS_QUEUED_MAX (2 * REQUESTS_PER_TURN) /* a connection */
#define REQUESTS_QUEUED_MAX 8
#define HANDSHAKE_MAX_MS 5000
#define LINGER_MS 100

/*
 * The frames before the request, which have to be sent back before the answer: the routing id,
 * frames added by proxies and by ZMQ_REQ_CORRELATE, and the empty delimiter.
 */
#define ENVELOPE_FRAMES_MAX 4
#define ENVELOPE_FRAME_SIZE_MAX 255

/* A request whose handler has not been called yet. */
struct received {
	struct zmq_request *request;
	zmq_msg_t body;
};

struct zmq_service {
	const char *name; /* for log lines: the last part of the address */
	const char *address;
	void *socket;
	struct ipc_listener *listener; /* NULL if the endpoint is not ipc */
	sd_event_source *readable;     /* ZMQ_FD */
	sd_event_source *again;
	zmq_request_handler *handler;
	void *userdata;
	LIST_HEAD(, zmq_request) requests; /* unanswered */
	unsigned n_requests;
	struct received received[REQUESTS_PER_TURN]; /* in the order of arrival */
	unsigned n_received, n_handled;
	bool in_message; /* the message of the frame received last has more frames */
	struct log_limit garbage_limit;
};

struct zmq_request {
	struct zmq_service *service; /* NULL once the service has been freed */
	LIST_ENTRY(zmq_request) entry;
	unsigned n_envelope;
	zmq_msg_t envelope[ENVELOPE_FRAMES_MAX];
};

static void try_again(struct zmq_service *service)
{
	int r = sd_event_source_set_enabled(service->again, SD_EVENT_ONESHOT);

	if (r < 0 && r != -ESTALE) /* -ESTALE: the loop has ended, nothing more is received */
		log_error("%s endpoint: event loop: %s", service->name, strerror(-r));
}

static struct zmq_request *request_new(struct zmq_service *service)
{
	struct zmq_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->service = service;
	LIST_INSERT_HEAD(&service->requests, request, entry);
	service->n_requests++;
	return request;
}

static void request_free(struct zmq_request *request)
{
	if (request->service) {
		LIST_REMOVE(request, entry);
		request->service->n_requests--;
		try_again(request->service);
	}
	for (unsigned i = 0; i < request->n_envelope; i++)
		zmq_msg_close(&request->envelope[i]);
	free(request);
}

static void drop_received(struct received *received)
{
	zmq_msg_close(&received->body);
	request_free(received->request);
}

static int receive_frame(struct zmq_service *service, zmq_msg_t *frame)
{
	int r;

	do
		r = zmq_msg_recv(frame, service->socket, ZMQ_DONTWAIT);
	while (r < 0 && errno == EINTR);
	service->in_message = r >= 0 && zmq_msg_more(frame);
	return r;
}

static int try_to_send(struct zmq_service *service, zmq_msg_t *frame, int flags)
{
	int r;

	do
		r = zmq_msg_send(frame, service->socket, ZMQ_DONTWAIT | flags);
	while (r < 0 && errno == EINTR);
	return r;
}

static int send_frame(struct zmq_service *service, zmq_msg_t *frame, int flags)
{
	int events, r = try_to_send(service, frame, flags);
	size_t size = sizeof(events);

	/* EAGAIN may only mean that libzmq has not looked for a while how much has been sent. */
	if (r < 0 && errno == EAGAIN &&
		zmq_getsockopt(service->socket, ZMQ_EVENTS, &events, &size) == 0)
		r = try_to_send(service, frame, flags);
	return r;
}

/*
 * Sorts the frames of one message, the first of which is in `frame`, into the request's envelope
 * and its body. Returns false if they are no request; frames may then be left for skip_rest().
 */
static bool receive_message(
	struct zmq_service *service, struct zmq_request *request, zmq_msg_t *frame, zmq_msg_t *body)
{
	bool in_envelope = true;

	while (in_envelope) {
		const size_t size = zmq_msg_size(frame);
		zmq_msg_t *slot = &request->envelope[request->n_envelope];

		if (!service->in_message || request->n_envelope == ENVELOPE_FRAMES_MAX ||
			size > ENVELOPE_FRAME_SIZE_MAX)
			return false;
		zmq_msg_init(slot);
		zmq_msg_move(slot, frame);
		in_envelope = size > 0 || request->n_envelope == 0;
		request->n_envelope++;
		if (receive_frame(service, frame) < 0)
			return false;
	}
	zmq_msg_move(body, frame);
	return !service->in_message; /* a request is one frame */
}

/*
 * Throws away the rest of a message that is no request, or a part of it: libzmq does not limit how
 * many frames a message has.
 */
static void skip_rest(struct zmq_service *service)
{
	zmq_msg_t frame;

	zmq_msg_init(&frame);
	for (unsigned i = 0; service->in_message && i < FRAMES_SKIPPED_PER_TURN; i++)
		receive_frame(service, &frame);
	zmq_msg_close(&frame);
}

/* Takes one message off the socket; false if there is none. */
static bool receive_one(struct zmq_service *service)
{
	struct received *received = &service->received[service->n_received];
	zmq_msg_t frame;

	zmq_msg_init(&frame);
	if (receive_frame(service, &frame) < 0) {
		if (errno != EAGAIN)
			log_error("%s endpoint: %s", service->name, zmq_strerror(errno));
		return false;
	}
	received->request = request_new(service);
	if (received->request) { /* else the message is dropped */
		zmq_msg_init(&received->body);
		if (receive_message(service, received->request, &frame, &received->body)) {
			service->n_received++;
		} else {
			if (log_limit_pass(&service->garbage_limit, LOG_WARNING))
				log_warning("%s endpoint: dropped a message that is not one frame "
					    "behind the envelope of a REQ socket",
					service->name);
			drop_received(received);
		}
	}
	zmq_msg_close(&frame);
	return true;
}

/*
 * Takes messages off the socket before any of them is handled. Otherwise libzmq would hand out what
 * arrives meanwhile newest first, because its queue would still hold the connection served last.
 * Returns false if nobody has to try again: none is left, or request_free() does it.
 */
static bool receive(struct zmq_service *service)
{
	service->n_received = service->n_handled = 0;
	skip_rest(service);
	for (unsigned i = 0; i < REQUESTS_PER_TURN && !service->in_message; i++)
		if (service->n_requests >= ZMQ_REQUESTS_MAX || !receive_one(service))
			return false;
	return true;
}

static void handle_next(struct zmq_service *service)
{
	struct received *next = &service->received[service->n_handled++];

	service->handler(service->userdata, next->request, zmq_msg_data(&next->body),
		zmq_msg_size(&next->body));
	zmq_msg_close(&next->body);
}

static void service_run(struct zmq_service *service)
{
	const uint64_t began_ns = clock_monotonic_ns();
	bool more = service->n_handled < service->n_received || receive(service);

	while (service->n_handled < service->n_received && !turn_is_over(began_ns))
		handle_next(service);
	if (more || service->n_handled < service->n_received)
		try_again(service);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	service_run(userdata);
	return 0;
}

static int on_again(sd_event_source *source, void *userdata)
{
	service_run(userdata);
	return 0;
}

static void send_answer(struct zmq_request *request, const void *data, size_t length)
{
	struct zmq_service *service = request->service;
	zmq_msg_t body;

	if (zmq_msg_init_size(&body, length) < 0) {
		log_error(
			"%s endpoint: no memory for an answer of %zu bytes", service->name, length);
		return;
	}
	if (length > 0)
		memcpy(zmq_msg_data(&body), data, length);
	/*
	 * The first frame, the routing id, decides: EHOSTUNREACH if the client is gone, EAGAIN if
	 * it does not read. After it, nothing that the client does can make a frame fail.
	 */
	for (unsigned i = 0; i < request->n_envelope; i++) {
		if (send_frame(service, &request->envelope[i], ZMQ_SNDMORE) < 0) {
			log_debug("%s endpoint: an answer finds no reader: %s", service->name,
				zmq_strerror(errno));
			zmq_msg_close(&body);
			return;
		}
	}
	if (send_frame(service, &body, 0) < 0)
		zmq_msg_close(&body);
}

void zmq_request_reply(struct zmq_request *request, const void *data, size_t length)
{
	if (request->service)
		send_answer(request, data, length);
	request_free(request);
}

void zmq_request_answer(struct zmq_request *request, int r, struct wire_message *message)
{
	if (r < 0) {
		log_error("a request has no answer: out of memory");
		request_free(request);
		return;
	}
	zmq_request_reply(request, message->data, message->length);
	free(message->data);
}

static int set_options(struct zmq_service *service, struct err *err)
{
	const int ipv6 = endpoint_is_ipv6(service->address);
	const struct {
		int option;
		int value;
	} settings[] = {
		{ZMQ_ROUTER_MANDATORY, 1},
		{ZMQ_RCVHWM, REQUESTS_QUEUED_MAX},
		{ZMQ_SNDHWM, ANSWERS_QUEUED_MAX},
		{ZMQ_HANDSHAKE_IVL, HANDSHAKE_MAX_MS},
		{ZMQ_LINGER, LINGER_MS},
		{ZMQ_TCP_KEEPALIVE, 1},
		{ZMQ_IPV6, ipv6},
	};
	const int64_t message_size_max = ZMQ_REQUEST_SIZE_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (zmq_setsockopt(service->socket, settings[i].option, &settings[i].value,
			    sizeof(settings[i].value)) < 0)
			return err_set(err, errno, "%s: %s", service->address, zmq_strerror(errno));
	if (zmq_setsockopt(service->socket, ZMQ_MAXMSGSIZE, &message_size_max,
		    sizeof(message_size_max)) < 0)
		return err_set(err, errno, "%s: %s", service->address, zmq_strerror(errno));
	return 0;
}

/*
 * libzmq would bind an ipc socket over a live one of another process, and with a mode given by the
 * umask. So we bind the socket ourselves and hand it over: libzmq closes it, and we remove its
 * file.
 */
static int service_bind(struct zmq_service *service, struct err *err)
{
	const char *path = endpoint_ipc_path(service->address);
	int fd, r;

	if (path) {
		r = ipc_listener_new(&service->listener, path, err);
		if (r < 0)
			return r;
		fd = ipc_listener_fd(service->listener);
		if (zmq_setsockopt(service->socket, ZMQ_USE_FD, &fd, sizeof(fd)) < 0)
			return err_set(err, errno, "%s: %s", service->address, zmq_strerror(errno));
	}
	if (zmq_bind(service->socket, service->address) < 0)
		return err_set(err, errno, "cannot listen on %s: %s", service->address,
			zmq_strerror(errno));
	if (path)
		ipc_listener_give_fd(service->listener);
	return 0;
}

static int add_event_sources(struct zmq_service *service, sd_event *event, struct err *err)
{
	size_t size = sizeof(int);
	int fd, r;

	if (zmq_getsockopt(service->socket, ZMQ_FD, &fd, &size) < 0)
		return err_set(err, errno, "%s: %s", service->address, zmq_strerror(errno));
	r = sd_event_add_io(event, &service->readable, fd, EPOLLIN | EPOLLET, on_readable, service);
	if (r >= 0)
		r = sd_event_add_defer(event, &service->again, on_again, service);
	if (r < 0)
		return err_set(err, -r, "%s: event loop: %s", service->address, strerror(-r));
	return 0;
}

int zmq_service_new(struct zmq_service **ret_service, const struct zmq_endpoint *endpoint,
	zmq_request_handler *handler, void *userdata, struct err *err)
{
	struct zmq_service *service = calloc(1, sizeof(*service));
	const char *slash;
	int r;

	if (!service)
		return err_set(err, ENOMEM, "out of memory");
	service->handler = handler;
	service->userdata = userdata;
	service->garbage_limit = (struct log_limit)LOG_LIMIT(3);
	service->address = endpoint->address;
	slash = strrchr(service->address, '/');
	service->name = slash ? slash + 1 : service->address;

	service->socket = zmq_socket(endpoint->zmq_ctx, ZMQ_ROUTER);
	if (!service->socket) {
		r = err_set(err, errno, "%s: no socket: %s", service->address, zmq_strerror(errno));
		goto fail;
	}
	r = set_options(service, err);
	if (r >= 0)
		r = service_bind(service, err);
	if (r >= 0)
		r = add_event_sources(service, endpoint->event, err);
	if (r < 0)
		goto fail;
	*ret_service = service;
	return 0;
fail:
	zmq_service_free(service);
	return r;
}

struct zmq_service *zmq_service_free(struct zmq_service *service)
{
	struct zmq_request *request;

	if (!service)
		return NULL;
	while (service->n_handled < service->n_received)
		drop_received(&service->received[service->n_handled++]);
	LIST_FOREACH (request, &service->requests, entry)
		request->service = NULL;
	sd_event_source_disable_unref(service->again);
	sd_event_source_disable_unref(service->readable);
	ipc_listener_free(service->listener);
	if (service->socket)
		zmq_close(service->socket);
	free(service);
	return NULL;
}
