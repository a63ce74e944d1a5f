/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The client side of TLS on a connected non-blocking socket. The server must show a certificate of
 * the given authority; as in Open vSwitch its name is not compared, since databases are named by
 * address. The process must ignore SIGPIPE.
 */

#include "control/ovsdb/stream.h"

struct tls;

/* Reads the credentials. The socket stays the caller's, and must outlive the tls. */
int tls_new(struct tls **ret_tls, int fd, const struct stream_credentials *credentials,
	struct err *err);
struct tls *tls_free(struct tls *tls);

/* What the last call that returned -EAGAIN waits for: EPOLLIN or EPOLLOUT. */
uint32_t tls_events(const struct tls *tls);

/* As the stream's functions. */
int tls_handshake(struct tls *tls, struct err *err);
ssize_t tls_read(struct tls *tls, void *ret_data, size_t size, struct err *err);
ssize_t tls_write(struct tls *tls, const void *data, size_t size, struct err *err);
