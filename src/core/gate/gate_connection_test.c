/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/gate/gate_connection.h"
#include "core/gate/vhost_user_fixture.h"

struct bed {
	struct gate_closer *closer;
	struct gate_connection *connection;
	int frontend, library; /* the far ends, played by the test */
};

static int set_up(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	int frontend[2], library[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, frontend) < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, library) < 0)
		return -1;
	bed->frontend = frontend[0];
	bed->library = library[0];
	bed->closer = gate_closer_new();
	bed->connection = gate_connection_new(frontend[1], library[1], bed->closer);
	*state = bed;
	return bed->connection ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bed *bed = *state;

	gate_connection_free(bed->connection);
	gate_closer_free(bed->closer);
	close(bed->frontend);
	close(bed->library);
	free(bed);
	return 0;
}

static void say(int fd, uint32_t request, uint32_t flags, uint32_t payload_bytes)
{
	struct vhost_user_header header = {request, flags, payload_bytes};

	assert_int_equal(send(fd, &header, sizeof(header), 0), sizeof(header));
}

/* An error always comes with a text that says what was wrong. */
static void test_answer_too_long(void **state)
{
	struct bed *bed = *state;
	struct err err = {""};

	say(bed->frontend, VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), 0);
	say(bed->library, VHOST_USER_GET_FEATURES, VHOST_USER_VERSION | VHOST_USER_REPLY, 4096);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), -EPROTO);
	assert_non_null(strstr(err.text, "4096 bytes"));
}

static void test_request_too_long(void **state)
{
	struct bed *bed = *state;
	struct err err = {""};

	say(bed->frontend, VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 4096);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), -EPROTO);
	assert_non_null(strstr(err.text, "4096 bytes"));
}

/* The answer to the frontend may be longer than the library's. */
static void test_answer_completed(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_message heard = {0};
	struct err err = {""};
	int log_fd = memfd_create("log", MFD_CLOEXEC);
	const struct vhost_user_log log = {4096, 0};
	const uint64_t protocol = 1 << 1; /* LOG_SHMFD */

	assert_int_equal(ftruncate(log_fd, log.bytes), 0);
	vhost_user_send(bed->frontend, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol,
		sizeof(protocol), -1);
	vhost_user_send(bed->frontend, VHOST_USER_SET_LOG_BASE, 0, &log, sizeof(log), log_fd);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), 0);
	vhost_user_send(bed->library, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_REPLY,
		&(uint64_t){0}, sizeof(uint64_t), -1);
	say(bed->library, VHOST_USER_SET_LOG_BASE, VHOST_USER_VERSION | VHOST_USER_REPLY, 0);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), 0);
	assert_int_equal(recv(bed->frontend, &heard.header, sizeof(heard.header), MSG_DONTWAIT),
		sizeof(heard.header));
	assert_int_equal(heard.header.request, VHOST_USER_SET_LOG_BASE);
	assert_int_equal(heard.header.payload_bytes, sizeof(heard.payload.number));
	assert_int_equal(recv(bed->frontend, &heard.payload, sizeof(heard.payload), MSG_DONTWAIT),
		sizeof(heard.payload.number));
	assert_int_equal(heard.payload.number, 0);
	close(log_fd);
}

/* QEMU 4.2 to 5.1 may have forgotten the features of all queue pairs except the first. */
static void test_request_completed(void **state)
{
	struct bed *bed = *state;
	const uint64_t log_all = 1ULL << 26, protocol = 1ULL << 30, version_1 = 1ULL << 32;
	const uint64_t cases[][2] = {{protocol | log_all, protocol | version_1 | log_all},
		{protocol, protocol | version_1}};
	struct vhost_user_message heard = {0};
	struct err err = {""};

	bed->connection->rules.features = protocol | version_1;
	bed->connection->rules.rings[0].started = bed->connection->rules.rings[0].call_told = true;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vhost_user_send(bed->frontend, VHOST_USER_SET_FEATURES, 0, &cases[i][0],
			sizeof(cases[i][0]), -1);
		assert_int_equal(gate_connection_proceed(bed->connection, &err), 0);
		assert_int_equal(recv(bed->library, &heard.header, sizeof(heard.header), 0),
			sizeof(heard.header));
		assert_int_equal(recv(bed->library, &heard.payload, sizeof(heard.payload), 0),
			sizeof(heard.payload.number));
		assert_int_equal(heard.payload.number, cases[i][1]);
		vhost_user_send(bed->library, VHOST_USER_SET_FEATURES, VHOST_USER_REPLY,
			&(uint64_t){0}, sizeof(uint64_t), -1);
		assert_int_equal(gate_connection_proceed(bed->connection, &err), 0);
	}
	vhost_user_send(
		bed->frontend, VHOST_USER_SET_FEATURES, 0, &version_1, sizeof(version_1), -1);
	assert_int_equal(gate_connection_proceed(bed->connection, &err), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answer_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_request_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answer_completed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_request_completed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
