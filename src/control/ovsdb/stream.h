/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The client side of a byte stream over a non-blocking socket, plain or TLS. Control thread;
 * nothing blocks. After a call returned -EAGAIN, stream_events() tells what the socket must be
 * ready for.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/ovsdb_endpoint.h"

/*
 * PEM files, as for ovs-vsctl's --private-key, --certificate and --ca-cert; read for TLS only,
 * which needs the last, and the first two together or neither.
 */
struct stream_credentials {
	const char *private_key;
	const char *certificate;
	const char *ca_cert;
};

struct stream;

/* Starts to connect. `credentials` is read before this returns. */
int stream_open(struct stream **ret_stream, const struct ovsdb_endpoint *endpoint,
	const struct stream_credentials *credentials, struct err *err);
struct stream *stream_free(struct stream *stream);

int stream_fd(const struct stream *stream);

/* The epoll events to wait for before retrying the call that returned -EAGAIN. */
uint32_t stream_events(const struct stream *stream);

/*
 * Continues to connect. Returns 0 when done, -EAGAIN if it has to wait, or another negative errno.
 */
int stream_establish(struct stream *stream, struct err *err);

/* Like read() and write(): the number of bytes, 0 for the end of the stream, or a negative errno.
 */
ssize_t stream_read(struct stream *stream, void *ret_data, size_t size, struct err *err);
ssize_t stream_write(struct stream *stream, const void *data, size_t size, struct err *err);
