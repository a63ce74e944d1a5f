/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Where a database listens, in the syntax of ovs-vsctl's --db: "unix:PATH" or a bare path,
 * "tcp:IP[:PORT]", "ssl:IP[:PORT]". IPv6 addresses are in brackets. Host names are not looked up,
 * since that may block.
 */

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include "base/err.h"

#define OVSDB_PORT_DEFAULT 6640

struct ovsdb_endpoint {
	char text[160]; /* for messages: "unix:/run/openvswitch/db.sock" */
	bool tls;
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t addr_size;
};

int ovsdb_endpoint_parse(const char *text, struct ovsdb_endpoint *ret_endpoint, struct err *err);

/* The path of a unix socket, or NULL for the other kinds. */
const char *ovsdb_endpoint_path(const struct ovsdb_endpoint *endpoint);

/*
 * Starts to connect. Returns a non-blocking socket, which becomes writable when it is connected or
 * has failed, and which the caller closes; or a negative errno.
 */
int ovsdb_endpoint_connect(const struct ovsdb_endpoint *endpoint);
