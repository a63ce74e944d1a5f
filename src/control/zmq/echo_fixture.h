/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A service that echoes, and its clients. */

#include <stdlib.h>

#include "control/turn.h"
#include "control/zmq/service_fixture.h"

#define LATE 3

/* A service that echoes requests, or keeps them. */
struct echo {
	struct fixture fixture;
	struct zmq_service *service;
	bool keep;
	unsigned n_requests; /* in total */
	unsigned n_kept;
	struct zmq_request *kept[ZMQ_REQUESTS_MAX + 1];
	size_t answer_size; /* 0: as long as the request */
	bool slow;          /* a request takes more than a turn */
	void *late[LATE];   /* clients that ask while a request is handled */
	char log[16];       /* how the first requests begin */
};

static inline void send_text(void *client, const char *text)
{
	assert_int_equal(zmq_send(client, text, strlen(text), 0), strlen(text));
}

static inline void on_request(
	void *userdata, struct zmq_request *request, const void *data, size_t length)
{
	static const char filler[32 * 1024];
	struct echo *echo = userdata;
	size_t n = strlen(echo->log);

	echo->n_requests++;
	if (echo->late[0]) {
		for (unsigned i = 0; i < LATE; i++)
			send_text(echo->late[i], (char[]){(char)('1' + i), '\0'});
		memset(echo->late, 0, sizeof(echo->late));
	}
	snprintf(echo->log + n, sizeof(echo->log) - n, "%.*s", (int)MIN(length, 1),
		(const char *)data);
	if (echo->slow)
		nanosleep(&(struct timespec){.tv_nsec = TURN_NS}, NULL);
	if (echo->keep)
		echo->kept[echo->n_kept++] = request;
	else if (echo->answer_size && length > 0 && *(const char *)data == 'B')
		zmq_request_reply(request, filler, echo->answer_size);
	else
		zmq_request_reply(request, data, length);
}

static inline int setup(void **state)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	struct err err = {};

	fixture_init(&echo->fixture);
	if (zmq_service_new(&echo->service, &echo->fixture.endpoint, on_request, echo, &err) < 0)
		fail_msg("%s", err.text);
	*state = echo;
	return 0;
}

static inline int teardown(void **state)
{
	struct echo *echo = *state;

	zmq_service_free(echo->service);
	fixture_fini(&echo->fixture);
	free(echo);
	return 0;
}

static inline void *open_client(struct echo *echo, int type)
{
	const int no_linger = 0;
	void *client = zmq_socket(echo->fixture.client_ctx, type);

	assert_non_null(client);
	zmq_setsockopt(client, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	assert_int_equal(zmq_connect(client, echo->fixture.address), 0);
	return client;
}

static inline bool readable(void *client)
{
	int events;
	size_t size = sizeof(events);

	assert_int_equal(zmq_getsockopt(client, ZMQ_EVENTS, &events, &size), 0);
	return events & ZMQ_POLLIN;
}

static inline void expect_answer(struct echo *echo, void *client, const char *text)
{
	char answer[64] = "";

	run_until(echo->fixture.event, readable(client));
	assert_int_equal(zmq_recv(client, answer, sizeof(answer) - 1, 0), strlen(text));
	assert_string_equal(answer, text);
}

/* A well-behaved client connects, asks, and gets its answer. */
static inline void expect_service(struct echo *echo)
{
	void *client = open_client(echo, ZMQ_REQ);

	send_text(client, "honest");
	expect_answer(echo, client, "honest");
	zmq_close(client);
}

static inline void wait_requests(struct echo *echo, unsigned n)
{
	run_until(echo->fixture.event, echo->n_requests >= n);
}

/* Gives the loop the opportunity to do what it must not do. */
static inline void run_idle(struct echo *echo)
{
	for (uint64_t end_ns = clock_monotonic_ns() + 50000000; clock_monotonic_ns() < end_ns;)
		assert_true(sd_event_run(echo->fixture.event, 1000) >= 0);
}
