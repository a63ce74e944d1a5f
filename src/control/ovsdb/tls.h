/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The client side of TLS on a connected non-blocking socket. The server must present a certificate
 * signed by the given authority. As in Open vSwitch, the name in it is not compared, since
 * databases are addressed by IP. The process must ignore SIGPIPE.
 */

#include "control/ovsdb/stream.h"

struct tls;

/* Reads the credentials. The caller keeps the socket, which must outlive the tls. */
int tls_new(struct tls **ret_tls, int fd, const struct stream_credentials *credentials,
	struct err *err);
struct tls *tls_free(struct tls *tls);

/* The event that the last call that returned -EAGAIN waits for: EPOLLIN or EPOLLOUT. */
uint32_t tls_events(const struct tls *tls);

/* Like the functions of stream.h. */
int tls_handshake(struct tls *tls, struct err *err);
ssize_t tls_read(struct tls *tls, void *ret_data, size_t size, struct err *err);
ssize_t tls_write(struct tls *tls, const void *data, size_t size, struct err *err);
