/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOOPBACK_NETWORK 127 /* 127.0.0.0/8 */

/* False if the address is not one of the loopback interface. */
static bool set_address(const char *host, uint16_t port, struct sockaddr_storage *addr)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (strcmp(host, "[::1]") == 0) {
		in6.sin6_addr = in6addr_loopback;
		memcpy(addr, &in6, sizeof(in6));
		return true;
	}
	if (inet_pton(AF_INET, host, &in.sin_addr) != 1 ||
		ntohl(in.sin_addr.s_addr) >> 24 != LOOPBACK_NETWORK)
		return false;
	memcpy(addr, &in, sizeof(in));
	return true;
}

int loopback_parse(
	const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_length, struct err *err)
{
	const size_t scheme_length = strlen(LOOPBACK_SCHEME);
	struct sockaddr_storage addr = {0};
	const char *colon = strrchr(text, ':');
	char host[64] = "", rest;
	unsigned port = 0;

	if (strncmp(text, LOOPBACK_SCHEME, scheme_length) == 0 && colon > text + scheme_length)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text - (ptrdiff_t)scheme_length),
			text + scheme_length);
	if (host[0] == '\0' || sscanf(colon, ":%5u%c", &port, &rest) != 1 || port == 0 ||
		port > UINT16_MAX)
		return err_set(err, EINVAL,
			"'%s' is neither ipc:///FILE nor http://ADDRESS:PORT, with a port of 1 to "
			"65535",
			text);
	if (!set_address(host, (uint16_t)port, &addr))
		return err_set(err, EINVAL,
			"'%s' is not on the loopback interface, so anyone on the network could "
			"read it, without a password; use http://127.0.0.1:%u or ipc:///FILE",
			text, port);
	*ret_addr = addr;
	*ret_length = addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
	                                        : sizeof(struct sockaddr_in6);
	return 0;
}
