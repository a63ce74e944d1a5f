/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/jsonrpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "control/ovsdb/json_frame.h"

#define READ_SIZE 65536 /* bytes read at most per iteration of the event loop */
#define ECHO_ID "probe"

struct buffer {
	char *data;
	size_t n;
	size_t capacity;
};

struct jsonrpc {
	struct stream *stream;
	sd_event_source *io;
	sd_event_source *timer; /* for the peer's silence; fires at once after a failure */
	const struct jsonrpc_callbacks *callbacks;
	void *userdata;
	unsigned probe_ms;
	bool established;
	bool heard;   /* something was received since the timer was set */
	bool probing; /* an echo request is unanswered */
	bool failed;  /* `reason` says why; closed() is called next */
	struct err reason;
	struct json_frame frame;
	struct buffer in;  /* the beginning of a message */
	struct buffer out; /* what the peer has not taken yet */
};

static int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	size_t capacity = MAX(buffer->capacity, 4096u);
	char *grown;

	while (capacity < buffer->n + size)
		capacity *= 2;
	if (capacity != buffer->capacity) {
		grown = realloc(buffer->data, capacity);
		if (!grown)
			return -ENOMEM;
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->n, data, size);
	buffer->n += size;
	return 0;
}

static void buffer_drop(struct buffer *buffer, size_t size)
{
	buffer->n -= size;
	memmove(buffer->data, buffer->data + size, buffer->n);
}

static void buffer_reset(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

static void set_timer(struct jsonrpc *rpc, unsigned ms)
{
	sd_event_source_set_time_relative(rpc->timer, ms * 1000ULL);
	sd_event_source_set_enabled(rpc->timer, SD_EVENT_ONESHOT);
}

/*
 * Marks the connection as failed. The timer tells the owner later, when nobody is using the
 * connection.
 */
static void fail_with(struct jsonrpc *rpc, const struct err *reason)
{
	if (rpc->failed)
		return;
	rpc->failed = true;
	rpc->reason = *reason;
	sd_event_source_set_enabled(rpc->io, SD_EVENT_OFF);
	set_timer(rpc, 0);
}

void jsonrpc_fail(struct jsonrpc *rpc, const char *fmt, ...)
{
	struct err reason;
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason.text, sizeof(reason.text), fmt, args);
	va_end(args);
	fail_with(rpc, &reason);
}

static void update_events(struct jsonrpc *rpc)
{
	uint32_t events = stream_events(rpc->stream);

	if (rpc->established && rpc->out.n > 0)
		events |= EPOLLOUT;
	sd_event_source_set_io_events(rpc->io, events);
}

static void flush(struct jsonrpc *rpc)
{
	struct err err = {""};
	ssize_t n;

	while (rpc->out.n > 0) {
		n = stream_write(rpc->stream, rpc->out.data, rpc->out.n, &err);
		if (n == -EAGAIN)
			return;
		if (n < 0) {
			fail_with(rpc, &err);
			return;
		}
		buffer_drop(&rpc->out, (size_t)n);
	}
}

void jsonrpc_send(struct jsonrpc *rpc, json_t *message)
{
	_cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (rpc->failed)
		return;
	if (!text || buffer_append(&rpc->out, text, strlen(text)) < 0)
		jsonrpc_fail(rpc, "out of memory");
	else if (rpc->out.n > JSONRPC_OUTPUT_MAX)
		jsonrpc_fail(rpc, "the server does not read what it is sent");
	else
		update_events(rpc);
}

/* Handles echo requests and replies. Returns true for them: they are not the owner's concern. */
static bool handle_echo(struct jsonrpc *rpc, const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	const char *id_text = json_string_value(json_object_get(message, "id"));
	json_t *params = json_object_get(message, "params"), *id = json_object_get(message, "id");

	if (method && !strcmp(method, "echo") && id && !json_is_null(id)) {
		jsonrpc_send(
			rpc, json_pack("{s:O, s:O?, s:n}", "id", id, "result", params, "error"));
		return true;
	}
	return !method && id_text && !strcmp(id_text, ECHO_ID);
}

static void take_message(struct jsonrpc *rpc, const char *text, size_t length)
{
	json_error_t error;
	json_t *message = json_loadb(text, length, 0, &error);

	if (!message)
		jsonrpc_fail(rpc, "the server sent bad JSON: %s", error.text);
	else if (!handle_echo(rpc, message))
		rpc->callbacks->message(rpc->userdata, message);
	json_decref(message);
}

/* Handles the complete messages in what was read, and keeps the rest. */
static void take_input(struct jsonrpc *rpc, const char *data, size_t size)
{
	size_t used;
	int r;

	while (size > 0 && !rpc->failed) {
		r = json_frame_scan(&rpc->frame, data, size, &used);
		if (r < 0) {
			jsonrpc_fail(rpc, "the server does not speak JSON-RPC");
			return;
		}
		if (rpc->in.n + used > JSONRPC_MESSAGE_MAX) {
			jsonrpc_fail(rpc, "the server sent a message of more than %d bytes",
				JSONRPC_MESSAGE_MAX);
			return;
		}
		if (buffer_append(&rpc->in, data, used) < 0) {
			jsonrpc_fail(rpc, "out of memory");
			return;
		}
		if (r > 0) {
			take_message(rpc, rpc->in.data, rpc->in.n);
			buffer_reset(&rpc->in);
		} else if (rpc->frame.depth == 0) {
			rpc->in.n = 0; /* white space between messages */
		}
		data += used;
		size -= used;
	}
}

static void read_input(struct jsonrpc *rpc)
{
	static const struct err ended = {"the server closed the connection"};
	char data[READ_SIZE];
	struct err err = {""};
	ssize_t n = stream_read(rpc->stream, data, sizeof(data), &err);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fail_with(rpc, n < 0 ? &err : &ended);
		return;
	}
	rpc->heard = true;
	take_input(rpc, data, (size_t)n);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct jsonrpc *rpc = userdata;
	struct err err = {""};
	int r;

	if (!rpc->established) {
		r = stream_establish(rpc->stream, &err);
		if (r < 0 && r != -EAGAIN)
			fail_with(rpc, &err);
		if (r == 0) {
			rpc->established = true;
			rpc->heard = true;
			rpc->callbacks->connected(rpc->userdata);
		}
	} else {
		read_input(rpc);
	}
	if (rpc->established && !rpc->failed)
		flush(rpc);
	update_events(rpc);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct jsonrpc *rpc = userdata;

	if (!rpc->failed && !rpc->heard && (rpc->probing || !rpc->established))
		jsonrpc_fail(rpc, "%s for %u ms", rpc->established ? "no answer" : "not connected",
			rpc->probe_ms * (1 + rpc->established));
	if (rpc->failed) {
		struct err reason = rpc->reason; /* the owner may free the connection */

		rpc->callbacks->closed(rpc->userdata, &reason);
		return 0;
	}
	rpc->probing = !rpc->heard;
	rpc->heard = false;
	set_timer(rpc, rpc->probe_ms);
	if (rpc->probing)
		jsonrpc_send(rpc,
			json_pack("{s:s, s:s, s:[]}", "id", ECHO_ID, "method", "echo", "params"));
	return 0;
}

int jsonrpc_new(struct jsonrpc **ret_rpc, sd_event *event, const struct ovsdb_endpoint *endpoint,
	const struct stream_credentials *credentials, unsigned probe_ms,
	const struct jsonrpc_callbacks *callbacks, void *userdata, struct err *err)
{
	struct jsonrpc *rpc = calloc(1, sizeof(*rpc));
	int r;

	if (!rpc)
		return err_set(err, ENOMEM, "out of memory");
	rpc->callbacks = callbacks;
	rpc->userdata = userdata;
	rpc->probe_ms = probe_ms;
	r = stream_open(&rpc->stream, endpoint, credentials, err);
	if (r < 0)
		goto failed;
	r = sd_event_add_io(event, &rpc->io, stream_fd(rpc->stream), EPOLLOUT, on_io, rpc);
	if (r >= 0)
		r = sd_event_add_time_relative(
			event, &rpc->timer, CLOCK_MONOTONIC, probe_ms * 1000ULL, 0, on_timer, rpc);
	if (r < 0) {
		err_set(err, -r, "cannot watch the connection: %s", strerror(-r));
		goto failed;
	}
	*ret_rpc = rpc;
	return 0;
failed:
	jsonrpc_free(rpc);
	return r;
}

struct jsonrpc *jsonrpc_free(struct jsonrpc *rpc)
{
	if (!rpc)
		return NULL;
	sd_event_source_disable_unref(rpc->io);
	sd_event_source_disable_unref(rpc->timer);
	stream_free(rpc->stream);
	buffer_reset(&rpc->in);
	buffer_reset(&rpc->out);
	free(rpc);
	return NULL;
}
