/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/zmq_service.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/zmq/echo_fixture.h"

/* Counts the frames that the service takes, which are all that are received so. */
static unsigned n_received;

int __real_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags);

int __wrap_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
	int r = __real_zmq_msg_recv(message, socket, flags);

	n_received += r >= 0;
	return r;
}

static void test_echo(void **state)
{
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_REQ);

	for (unsigned i = 0; i < 1000; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		send_text(client, text);
		expect_answer(echo, client, text);
	}
	zmq_close(client);
}

/*
 * More requests at once than one turn handles; sending an answer consumes the signal of a request.
 */
static void test_many_at_once(void **state)
{
	struct echo *echo = *state;
	void *clients[100];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
			if (round == 0)
				clients[i] = open_client(echo, ZMQ_REQ);
			send_text(clients[i], "x");
		}
		for (unsigned i = 0; i < ARRAY_SIZE(clients); i++)
			expect_answer(echo, clients[i], "x");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++)
		zmq_close(clients[i]);
	assert_int_equal(echo->n_requests, 20 * ARRAY_SIZE(clients));
}

/* Other event sources wait for one slow request at most. */
static void test_slow_requests(void **state)
{
	struct echo *echo = *state;
	void *clients[4];
	unsigned before;

	echo->slow = true;
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = open_client(echo, ZMQ_REQ);
		send_text(clients[i], "x");
	}
	while (echo->n_requests < ARRAY_SIZE(clients)) {
		before = echo->n_requests;
		run_until(echo->fixture.event, echo->n_requests > before);
		assert_int_equal(echo->n_requests, before + 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		expect_answer(echo, clients[i], "x");
		zmq_close(clients[i]);
	}
}

/* The first of these clients asks; the others do so while it is served, which takes its time. */
static void ask_in_a_row(struct echo *echo, void *clients[1 + LATE])
{
	for (unsigned i = 0; i < 1 + LATE; i++) {
		clients[i] = open_client(echo, ZMQ_REQ);
		send_text(clients[i], "");
		expect_answer(echo, clients[i], "");
	}
	memcpy(echo->late, clients + 1, sizeof(echo->late));
	echo->slow = true;
	send_text(clients[0], "0");
}

static void close_all(void *clients[1 + LATE])
{
	for (unsigned i = 0; i < 1 + LATE; i++)
		zmq_close(clients[i]);
}

static void test_order_of_arrival(void **state)
{
	struct echo *echo = *state;
	void *clients[1 + LATE];

	ask_in_a_row(echo, clients);
	run_until(echo->fixture.event, strlen(echo->log) == ARRAY_SIZE(clients));
	close_all(clients);
	assert_string_equal(echo->log, "0123");
}

static void test_free_between_requests(void **state)
{
	struct echo *echo = *state;
	void *clients[1 + LATE];

	ask_in_a_row(echo, clients);
	run_until(echo->fixture.event, strlen(echo->log) == 2);
	echo->service = zmq_service_free(echo->service);
	close_all(clients);
	assert_string_equal(echo->log, "01");
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_files(void **state)
{
	struct echo *echo = *state;
	struct fixture *fixture = &echo->fixture;
	char folder[128];
	mode_t old_umask;

	assert_int_equal(mode_of(fixture_path(fixture)), 0660);
	zmq_service_free(echo->service);
	echo->service = NULL;
	assert_int_equal(access(fixture_path(fixture), F_OK), -1);

	/* Whatever the umask. */
	snprintf(fixture->address, sizeof(fixture->address), "ipc://%s/new/ep", fixture->folder);
	snprintf(folder, sizeof(folder), "%s/new", fixture->folder);
	old_umask = umask(077);
	assert_int_equal(
		zmq_service_new(&echo->service, &fixture->endpoint, on_request, echo, NULL), 0);
	umask(old_umask);
	assert_int_equal(mode_of(fixture_path(fixture)), 0660);
	assert_int_equal(mode_of(folder), 0755);
	expect_service(echo);
}

static void expect_refusal(struct echo *echo, int code, const char *reason)
{
	struct zmq_service *service = NULL;
	struct err err = {};

	assert_int_equal(
		zmq_service_new(&service, &echo->fixture.endpoint, on_request, echo, &err), -code);
	assert_non_null(strstr(err.text, reason));
	assert_null(service);
}

static void make_stale_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void test_socket_in_the_way(void **state)
{
	struct echo *echo = *state;
	const char *path = fixture_path(&echo->fixture);
	FILE *file;

	expect_refusal(echo, EADDRINUSE, path);
	expect_service(echo); /* the live service goes on */

	zmq_service_free(echo->service);
	echo->service = NULL;
	make_stale_socket(path);
	assert_int_equal(
		zmq_service_new(&echo->service, &echo->fixture.endpoint, on_request, echo, NULL),
		0);
	expect_service(echo);

	/* A file that has taken our place must not be removed. */
	assert_int_equal(unlink(path), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	zmq_service_free(echo->service);
	echo->service = NULL;
	assert_int_equal(access(path, F_OK), 0);
	expect_refusal(echo, EEXIST, path);
}

static void test_bad_addresses(void **state)
{
	static const struct {
		const char *address;
		int code;
	} cases[] = {
		{"ipc://", EINVAL},
		{"nonsense", EINVAL},
		{"carrier-pigeon://loft", EPROTONOSUPPORT},
		{"ipc:///proc/no/such", ENOENT},
		{"ipc:///dev/null/ep", ENOTDIR},
		{"ipc:///tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678901234567890",
			ENAMETOOLONG},
	};
	struct echo *echo = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		echo->fixture.endpoint.address = cases[i].address;
		expect_refusal(echo, cases[i].code, "");
	}
}

static void send_frames(void *client, unsigned n, const char *const *frames)
{
	for (unsigned i = 0; i < n; i++)
		assert_true(zmq_send(client, frames[i], strlen(frames[i]),
				    i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
}

static void test_envelopes(void **state)
{
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_DEALER);
	char frame[16] = "";

	send_frames(client, 1, (const char *[]){"no delimiter"});
	send_frames(client, 1, (const char *[]){""});
	send_frames(client, 2, (const char *[]){"no", "delimiter"});
	send_frames(client, 3, (const char *[]){"", "two", "bodies"});
	send_frames(client, 7, (const char *[]){"a", "b", "c", "d", "e", "", "too deep"});
	send_frames(client, 3, (const char *[]){"tag", "", "body"});
	/* The first answer belongs to the only message that a REP socket would answer too. */
	run_until(echo->fixture.event, readable(client));
	assert_int_equal(echo->n_requests, 1);
	assert_int_equal(zmq_recv(client, frame, sizeof(frame), 0), 3);
	assert_memory_equal(frame, "tag", 3);
	assert_int_equal(zmq_recv(client, frame, sizeof(frame), 0), 0);
	assert_int_equal(zmq_recv(client, frame, sizeof(frame), 0), 4);
	assert_memory_equal(frame, "body", 4);
	zmq_close(client);
	expect_service(echo);
}

/* Other event sources have their turns while a message of many frames is thrown away. */
static void test_many_frames(void **state)
{
	const unsigned n = 100000, most = 2000; /* in all, and in a turn */
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_DEALER);
	unsigned before;

	n_received = 0;
	for (unsigned i = 0; i < n; i++)
		assert_true(zmq_send(client, "x", i % 2, i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
	while (n_received < 1 + n) { /* with the routing id */
		before = n_received;
		run_until(echo->fixture.event, n_received > before);
		assert_true(n_received <= before + most);
	}
	assert_int_equal(n_received, 1 + n);
	assert_int_equal(echo->n_requests, 0);
	expect_service(echo);
	zmq_close(client);
}

static void test_empty_request(void **state)
{
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_REQ);

	send_text(client, "");
	expect_answer(echo, client, "");
	zmq_close(client);
}

static int connect_raw(struct echo *echo)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", fixture_path(&echo->fixture));
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		assert_int_equal(errno, EAGAIN); /* a full backlog; libzmq's thread empties it */
	return fd;
}

static unsigned count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static void test_vanishing_clients(void **state)
{
	static const char greeting[] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL";
	struct echo *echo = *state;
	unsigned n_fds, seed = 1;

	expect_service(echo);
	n_fds = count_fds();
	for (unsigned i = 0; i < 5000; i++) {
		int fd = connect_raw(echo);
		char noise[64];

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (char)rand_r(&seed);
		if (i % 3 == 1)
			send(fd, noise, i % sizeof(noise), MSG_NOSIGNAL);
		else if (i % 3 == 2)
			send(fd, greeting, i % sizeof(greeting), MSG_NOSIGNAL);
		close(fd);
		if (i % 1000 == 0)
			expect_service(echo);
	}
	expect_service(echo);
	run_until(echo->fixture.event, count_fds() <= n_fds);
}

static void test_oversized(void **state)
{
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_REQ);
	char *big = calloc(1, ZMQ_REQUEST_SIZE_MAX + 1);

	assert_int_equal(
		zmq_send(client, big, ZMQ_REQUEST_SIZE_MAX + 1, 0), ZMQ_REQUEST_SIZE_MAX + 1);
	run_idle(echo);
	zmq_close(client);
	assert_int_equal(echo->n_requests, 0);
	expect_service(echo);

	client = open_client(echo, ZMQ_REQ);
	assert_int_equal(zmq_send(client, big, ZMQ_REQUEST_SIZE_MAX, 0), ZMQ_REQUEST_SIZE_MAX);
	run_until(echo->fixture.event, readable(client));
	assert_int_equal(zmq_recv(client, big, ZMQ_REQUEST_SIZE_MAX + 1, 0), ZMQ_REQUEST_SIZE_MAX);
	zmq_close(client);
	free(big);
}

static void test_answers_out_of_order(void **state)
{
	struct echo *echo = *state;
	void *clients[3];

	echo->keep = true;
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = open_client(echo, ZMQ_REQ);
		send_text(clients[i], "x");
		wait_requests(echo, i + 1);
	}
	for (unsigned i = 3; i-- > 0;) {
		const char *text = i == 0 ? "first" : i == 1 ? "second" : "third";

		zmq_request_reply(echo->kept[i], text, strlen(text));
		expect_answer(echo, clients[i], text);
		for (unsigned k = 0; k < i; k++)
			assert_false(readable(clients[k]));
	}
	for (unsigned i = 0; i < 3; i++)
		zmq_close(clients[i]);
}

static void test_client_gone_before_the_answer(void **state)
{
	struct echo *echo = *state;
	unsigned n_fds;

	expect_service(echo);
	n_fds = count_fds();
	echo->keep = true;
	for (unsigned i = 0; i < 100; i++) {
		void *client = open_client(echo, ZMQ_REQ);

		send_text(client, "x");
		wait_requests(echo, i + 2);
		zmq_close(client);
	}
	run_until(echo->fixture.event, count_fds() <= n_fds);
	for (unsigned i = 0; i < 100; i++)
		zmq_request_reply(echo->kept[i], "late", 4);
	echo->keep = false;
	expect_service(echo);
}

static void test_outstanding_is_bounded(void **state)
{
	struct echo *echo = *state;
	void *clients[ZMQ_REQUESTS_MAX + 20];

	echo->keep = true;
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = open_client(echo, ZMQ_REQ);
		send_text(clients[i], "x");
	}
	wait_requests(echo, ZMQ_REQUESTS_MAX);
	run_idle(echo);
	assert_int_equal(echo->n_requests, ZMQ_REQUESTS_MAX);

	zmq_request_reply(echo->kept[0], "x", 1);
	wait_requests(echo, ZMQ_REQUESTS_MAX + 1);
	echo->keep = false;
	for (unsigned i = 1; i < echo->n_kept; i++)
		zmq_request_reply(echo->kept[i], "x", 1);
	wait_requests(echo, ARRAY_SIZE(clients));
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++)
		zmq_close(clients[i]);
	expect_service(echo);
}

static void test_client_that_never_reads(void **state)
{
	const int one = 1;
	const unsigned n = 5000;
	struct echo *echo = *state;
	void *client = zmq_socket(echo->fixture.client_ctx, ZMQ_DEALER);
	const int no_linger = 0;
	size_t before_bytes, grown_bytes;

	zmq_setsockopt(client, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	zmq_setsockopt(client, ZMQ_RCVHWM, &one, sizeof(one));
	assert_int_equal(zmq_connect(client, echo->fixture.address), 0);
	echo->answer_size = 32 * 1024;
	expect_service(echo);
	before_bytes = mallinfo2().uordblks;
	for (unsigned i = 1; i <= n; i++) {
		send_frames(client, 2, (const char *[]){"", "B"});
		if (i % 10 == 0)
			wait_requests(echo, 1 + i);
	}
	grown_bytes = mallinfo2().uordblks - before_bytes;
	assert_true(grown_bytes < 4 * 1024 * 1024); /* of 160 MB of answers */
	assert_int_equal(echo->n_requests, 1 + n);
	expect_service(echo);
	zmq_close(client);
}

/* Answers n of the requests that were kept, from the given one on, and reads the answers. */
static void answer_kept(struct echo *echo, void *client, unsigned from, unsigned n)
{
	char frame[1];

	for (unsigned i = from; i < from + n; i++)
		zmq_request_reply(echo->kept[i], "x", 1);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(zmq_recv(client, frame, sizeof(frame), 0), 0);
		assert_int_equal(zmq_recv(client, frame, sizeof(frame), 0), 1);
	}
}

/*
 * A client that asks again before it is answered, and reads, gets every answer; also if the service
 * has done nothing in between that makes libzmq look how much has been read.
 */
static void test_pipelined_requests(void **state)
{
	const unsigned rounds = 100, n = 32; /* so many answers are kept for a client */
	const int timeout_ms = 30000;
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_DEALER);

	zmq_setsockopt(client, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
	echo->keep = true;
	for (unsigned round = 1; round <= rounds; round++) {
		echo->n_kept = 0;
		for (unsigned i = 0; i < 2 * n; i++)
			send_frames(client, 2, (const char *[]){"", "x"});
		wait_requests(echo, round * 2 * n);
		answer_kept(echo, client, 0, n);
		answer_kept(echo, client, n, n);
	}
	zmq_close(client);
}

static void test_free_with_requests(void **state)
{
	struct echo *echo = *state;
	void *client = open_client(echo, ZMQ_REQ);

	echo->keep = true;
	send_text(client, "x");
	wait_requests(echo, 1);
	echo->service = zmq_service_free(echo->service);
	assert_null(echo->service);
	zmq_request_reply(echo->kept[0], "late", 4);
	zmq_close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_echo),
		TEST(test_many_at_once),
		TEST(test_slow_requests),
		TEST(test_order_of_arrival),
		TEST(test_free_between_requests),
		TEST(test_files),
		TEST(test_socket_in_the_way),
		TEST(test_bad_addresses),
		TEST(test_envelopes),
		TEST(test_many_frames),
		TEST(test_empty_request),
		TEST(test_vanishing_clients),
		TEST(test_oversized),
		TEST(test_answers_out_of_order),
		TEST(test_client_gone_before_the_answer),
		TEST(test_outstanding_is_bounded),
		TEST(test_client_that_never_reads),
		TEST(test_pipelined_requests),
		TEST(test_free_with_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
