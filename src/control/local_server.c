/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/local_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "base/util.h"

#define CLIENTS_MAX 16
#define TIMEOUT_US 5000000

enum state {
	RECEIVING, /* the request */
	ANSWERING,
	/*
	 * The answer is out. What else the client sends is read and ignored: closing the socket
	 * before would discard the answer.
	 */
	LEAVING,
	KEPT,
};

struct local_client {
	struct local_server *server;
	TAILQ_ENTRY(local_client) entry;
	enum state state;
	int fd;
	sd_event_source *io;
	sd_event_source *deadline;
	char *answer;
	size_t answer_length, answer_sent;
	size_t received;
	char request[];
};

struct local_server {
	sd_event *event;
	struct local_server_options options;
	sd_event_source *listener;
	TAILQ_HEAD(, local_client) clients; /* oldest first */
};

static void client_free(struct local_client *client)
{
	TAILQ_REMOVE(&client->server->clients, client, entry);
	sd_event_source_disable_unref(client->io);
	sd_event_source_disable_unref(client->deadline);
	close(client->fd);
	free(client->answer);
	free(client);
}

static void client_gone(struct local_client *client)
{
	const struct local_server_options *options = &client->server->options;

	if (client->state == KEPT && options->on_gone != NULL)
		options->on_gone(options->userdata, client);
	client_free(client);
}

/* Receives one piece from the client. Returns like recv(). */
static ssize_t receive(struct local_client *client)
{
	char ignored[4096];
	ssize_t n;

	if (client->state == KEPT)
		return recv(client->fd, ignored, sizeof(ignored), 0);
	if (client->state == LEAVING) {
		n = recv(client->fd, ignored, sizeof(ignored), 0);
		client->received += (size_t)MAX(n, (ssize_t)0);
		return client->received > 2 * client->server->options.request_max ? 0 : n;
	}
	n = recv(client->fd, client->request + client->received,
		client->server->options.request_max - client->received, 0);
	if (n > 0)
		client->received += (size_t)n;
	return n;
}

static void judge(struct local_client *client)
{
	const struct local_server_options *options = &client->server->options;
	enum local_verdict verdict =
		options->on_request(options->userdata, client, client->request, client->received);

	if (verdict == LOCAL_REFUSE ||
		(verdict == LOCAL_MORE && client->received == options->request_max))
		client_free(client);
}

static void send_some(struct local_client *client)
{
	ssize_t n = send(client->fd, client->answer + client->answer_sent,
		client->answer_length - client->answer_sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		client_free(client);
		return;
	}
	client->answer_sent += (size_t)MAX(n, (ssize_t)0);
	if (client->answer_sent < client->answer_length)
		return;
	client->state = LEAVING;
	shutdown(client->fd, SHUT_WR);
	sd_event_source_set_io_events(client->io, EPOLLIN);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct local_client *client = userdata;

	if (client->state == ANSWERING) {
		send_some(client);
		return 0;
	}
	ssize_t n = receive(client);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		client_gone(client);
	else if (client->state == RECEIVING)
		judge(client);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t time_us, void *userdata)
{
	client_free(userdata);
	return 0;
}

/* Makes room for one more client. False if all places are taken by kept clients. */
static bool make_room(struct local_server *server)
{
	struct local_client *client, *victim = NULL;
	unsigned n = 0;

	TAILQ_FOREACH (client, &server->clients, entry) {
		n++;
		if (victim == NULL && client->state != KEPT)
			victim = client;
	}
	if (n < CLIENTS_MAX)
		return true;
	if (victim == NULL)
		return false;
	client_free(victim);
	return true;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct local_server *server = userdata;
	int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct local_client *client;

	if (connection < 0)
		return 0; /* the client is gone already, or we are out of descriptors for now */
	client =
		make_room(server) ? calloc(1, sizeof(*client) + server->options.request_max) : NULL;
	if (client == NULL) {
		close(connection);
		return 0;
	}
	client->server = server;
	client->fd = connection;
	TAILQ_INSERT_TAIL(&server->clients, client, entry);
	if (sd_event_add_io(server->event, &client->io, connection, EPOLLIN, on_client, client) <
			0 ||
		sd_event_add_time_relative(server->event, &client->deadline, CLOCK_MONOTONIC,
			TIMEOUT_US, 0, on_deadline, client) < 0)
		client_free(client);
	return 0;
}

int local_server_new(struct local_server **ret_server, sd_event *event,
	const struct local_server_options *options, struct err *err)
{
	struct local_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return err_set(err, ENOMEM, "out of memory");
	server->event = sd_event_ref(event);
	server->options = *options;
	TAILQ_INIT(&server->clients);
	int r = sd_event_add_io(
		event, &server->listener, options->fd, EPOLLIN, on_connection, server);
	if (r < 0) {
		local_server_free(server);
		return err_set(err, -r, "event loop: %s", strerror(-r));
	}
	*ret_server = server;
	return 0;
}

struct local_server *local_server_free(struct local_server *server)
{
	struct local_client *client;

	if (server == NULL)
		return NULL;
	while ((client = TAILQ_FIRST(&server->clients)) != NULL)
		client_gone(client);
	sd_event_source_disable_unref(server->listener);
	sd_event_unref(server->event);
	free(server);
	return NULL;
}

int local_client_answer(struct local_client *client, const void *data, size_t length)
{
	client->answer = malloc(length);
	if (client->answer == NULL)
		return -ENOMEM;
	memcpy(client->answer, data, length);
	client->answer_length = length;
	client->state = ANSWERING;
	sd_event_source_set_io_events(client->io, EPOLLOUT);
	return 0;
}

void local_client_keep(struct local_client *client)
{
	client->state = KEPT;
	client->deadline = sd_event_source_disable_unref(client->deadline);
}

int local_client_fd(const struct local_client *client)
{
	return client->fd;
}
