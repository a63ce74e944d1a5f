/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "base/endpoints.h"
#include "base/unix_socket.h"
#include "wire/message.h"

static void cleanup_ctx(void **ctx)
{
	if (*ctx)
		zmq_ctx_term(*ctx);
}

static void cleanup_socket(void **socket)
{
	if (*socket)
		zmq_close(*socket);
}

/* What no waiting will change; libzmq would try to connect all the time. */
static int check_permission(const char *endpoint, struct err *err)
{
	const char *path = endpoint_ipc_path(endpoint);

	if (path && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 && errno == EACCES)
		return err_set(err, EACCES,
			"endpoint %s: %s: only the socket's owner and group may use it (usually "
			"root)",
			endpoint, strerror(EACCES));
	return 0;
}

static const char *explain_silence(const char *endpoint)
{
	const char *path = endpoint_ipc_path(endpoint);

	if (!path)
		return "is virtio-forwarder running, with this endpoint?";

	int r = unix_socket_probe(path);
	if (r == 0)
		return "virtio-forwarder is busy, and may still do what was asked";
	if (r == -ENOENT)
		return "there is no such socket: virtio-forwarder is not running, or this "
		       "endpoint is off";
	if (r == -ECONNREFUSED)
		return "nobody listens on the socket: virtio-forwarder is not running";
	return strerror(-r);
}

static int exchange(void *socket, const char *endpoint, int timeout_ms,
	const struct wire_message *request, zmq_msg_t *ret_reply, struct err *err)
{
	const int no_linger = 0, ipv6 = endpoint_is_ipv6(endpoint);

	if (zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof(no_linger)) < 0 ||
		zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof(ipv6)) < 0 ||
		zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout_ms, sizeof(timeout_ms)) < 0 ||
		zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms)) < 0)
		return err_set(err, errno, "cannot set up a socket: %s", zmq_strerror(errno));
	if (zmq_connect(socket, endpoint) < 0)
		return err_set(err, errno, "endpoint %s: %s", endpoint, zmq_strerror(errno));
	if (zmq_send(socket, request->data, request->length, 0) < 0 ||
		zmq_msg_recv(ret_reply, socket, 0) < 0) {
		if (errno == EAGAIN)
			return err_set(err, ETIMEDOUT, "no answer from %s within %.1f s: %s",
				endpoint, timeout_ms / 1000.0, explain_silence(endpoint));
		return err_set(err, errno, "endpoint %s: %s", endpoint, zmq_strerror(errno));
	}
	return 0;
}

int wire_call(const char *endpoint, int timeout_ms, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_reply, struct err *err)
{
	_cleanup_(cleanup_ctx) void *ctx = zmq_ctx_new();
	_cleanup_(cleanup_socket) void *socket = ctx ? zmq_socket(ctx, ZMQ_REQ) : NULL;
	struct wire_message packed;
	ProtobufCMessage *reply;
	zmq_msg_t answer;
	int r;

	if (!socket)
		return err_set(err, errno, "cannot open a socket: %s", zmq_strerror(errno));
	r = check_permission(endpoint, err);
	if (r < 0)
		return r;
	r = wire_message_pack(request, &packed);
	if (r < 0)
		return err_set(err, -r, "out of memory");
	zmq_msg_init(&answer);
	r = exchange(socket, endpoint, timeout_ms, &packed, &answer, err);
	free(packed.data);
	if (r == 0) {
		reply = protobuf_c_message_unpack(
			type, NULL, zmq_msg_size(&answer), zmq_msg_data(&answer));
		if (reply)
			*ret_reply = reply;
		else
			r = err_set(err, EBADMSG, "the answer of %s is no %s", endpoint,
				type->short_name);
	}
	zmq_msg_close(&answer);
	return r;
}
