/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/ovsdb_endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

static int parse_path(const char *path, struct ovsdb_endpoint *endpoint, struct err *err)
{
	struct sockaddr_un *local = &endpoint->addr.local;

	if (path[0] != '/')
		return err_set(err, EINVAL, "OVSDB socket \"%s\": the path must be absolute", path);
	if (strlen(path) >= sizeof(local->sun_path))
		return err_set(err, ENAMETOOLONG,
			"OVSDB socket \"%s\": the path is longer than %zu characters", path,
			sizeof(local->sun_path) - 1);
	local->sun_family = AF_UNIX;
	strcpy(local->sun_path, path);
	endpoint->addr_size = sizeof(*local);
	snprintf(endpoint->text, sizeof(endpoint->text), "unix:%s", path);
	return 0;
}

/* Splits "1.2.3.4", "1.2.3.4:6640", "[::1]" or "[::1]:6640"; false if it is none of these. */
static bool split_host_port(char *text, char **ret_host, const char **ret_port)
{
	char *end;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*ret_host = text + 1;
		*ret_port = end[1] ? end + 2 : NULL;
		*end = '\0';
		return true;
	}
	end = strchr(text, ':');
	*ret_host = text;
	*ret_port = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return true;
}

static int parse_ip(
	const char *text, const char *rest, struct ovsdb_endpoint *endpoint, struct err *err)
{
	unsigned port = OVSDB_PORT_DEFAULT;
	char copy[INET6_ADDRSTRLEN + sizeof("[]:65535")], *host = NULL;
	const char *port_text = NULL;

	if (strlen(rest) < sizeof(copy) && split_host_port(strcpy(copy, rest), &host, &port_text) &&
		(!port_text || number_parse(port_text, UINT16_MAX, &port) == 0) && port > 0) {
		snprintf(endpoint->text, sizeof(endpoint->text), "%s", text);
		if (inet_pton(AF_INET, host, &endpoint->addr.v4.sin_addr) == 1) {
			endpoint->addr.v4.sin_family = AF_INET;
			endpoint->addr.v4.sin_port = htons((uint16_t)port);
			endpoint->addr_size = sizeof(endpoint->addr.v4);
			return 0;
		}
		if (inet_pton(AF_INET6, host, &endpoint->addr.v6.sin6_addr) == 1) {
			endpoint->addr.v6.sin6_family = AF_INET6;
			endpoint->addr.v6.sin6_port = htons((uint16_t)port);
			endpoint->addr_size = sizeof(endpoint->addr.v6);
			return 0;
		}
	}
	return err_set(err, EINVAL,
		"OVSDB endpoint \"%s\" is not %.4sIP:PORT, with an address (IPv6 in brackets), not "
		"a name",
		text, text);
}

int ovsdb_endpoint_parse(const char *text, struct ovsdb_endpoint *ret_endpoint, struct err *err)
{
	struct ovsdb_endpoint endpoint = {0};
	int r;

	if (!strncmp(text, "tcp:", 4) || !strncmp(text, "ssl:", 4)) {
		endpoint.tls = text[0] == 's';
		r = parse_ip(text, text + 4, &endpoint, err);
	} else {
		r = parse_path(strncmp(text, "unix:", 5) ? text : text + 5, &endpoint, err);
	}
	if (r >= 0)
		*ret_endpoint = endpoint;
	return r;
}

const char *ovsdb_endpoint_path(const struct ovsdb_endpoint *endpoint)
{
	return endpoint->addr.any.sa_family == AF_UNIX ? endpoint->addr.local.sun_path : NULL;
}

int ovsdb_endpoint_connect(const struct ovsdb_endpoint *endpoint)
{
	const int on = 1;
	int fd, r;

	fd = socket(endpoint->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (endpoint->addr.any.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, &endpoint->addr.any, endpoint->addr_size) == 0 || errno == EINPROGRESS)
		return fd;
	r = -errno;
	close(fd);
	return r;
}
