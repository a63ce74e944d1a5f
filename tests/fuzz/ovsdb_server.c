/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A database server that sends anything at all: the input is what it sends on a connection. Over
 * TCP, since the directory of a unix socket is watched, and the kernel takes a tenth of a second to
 * end a watch.
 */
#include "base/log.h"
#include "control/ovsdb/ovsdb_monitor.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

static char endpoint[32];
static int listener;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	log_open("fuzz", LOG_EMERG);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	require(bind(listener, (struct sockaddr *)&address, size) == 0);
	require(listen(listener, 8) == 0);
	require(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
	snprintf(endpoint, sizeof(endpoint), "tcp:127.0.0.1:%d", ntohs(address.sin_port));
	return 0;
}

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	require(op->kind == OP_ADD || op->kind == OP_REMOVE);
	require(op->relay_id >= 0 && op->relay_id < RELAYS_MAX);
	/* Some are refused, so that they are retried. */
	ret_result->code = op->relay_id % 5 == 4 ? EBUSY : 0;
}

/* Does everything that can happen without waiting. Also reads what the client sends. */
static void run(sd_event *event, int client)
{
	char said[4096];

	while (sd_event_run(event, 0) > 0)
		while (client >= 0 && recv(client, said, sizeof(said), MSG_DONTWAIT) > 0)
			;
}

/* Closes with a reset, so that no connection stays in TIME_WAIT in the kernel. */
static void hang_up(int client)
{
	struct linger at_once = {.l_onoff = 1};

	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ovsdb_monitor_options options = {.endpoint = endpoint, .sysfs = "/nonexistent"};
	struct ovsdb_monitor *monitor = NULL;
	struct err err = {""};
	sd_event *event = NULL;

	require(sd_event_new(&event) >= 0);
	require(ovsdb_monitor_new(&monitor, event, &options, apply, NULL, &err) == 0);
	run(event, -1);
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	require(client >= 0);
	for (size_t sent = 0; sent < size;) {
		run(event, client);
		ssize_t n = send(client, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break; /* the client has hung up */
		sent += n > 0 ? (size_t)n : 0;
	}
	run(event, client);
	hang_up(client);
	run(event, -1);
	ovsdb_monitor_free(monitor);
	sd_event_unref(event);
	while ((client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		hang_up(client);
	return 0;
}
