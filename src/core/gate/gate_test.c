/* SPDX-License-Identifier: BSD-3-Clause */

/* The gate, between a frontend and a library that are both played by the test. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <linux/virtio_config.h>

#include "base/unix_socket.h"
#include "core/gate/gate.h"
#include "core/gate/gate_fixture.h"
#include "core/gate/vhost_user.h"
#include "core/gate/vhost_user_fixture.h"

#define MEMORY_BYTES 65536

static void messages_pass_both_ways(void **state)
{
	struct bed *bed = *state;
	uint64_t number = 7;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	assert_served(frontend, library);
	/* A message without an answer, in pieces, and another behind it. */
	struct vhost_user_header header = {
		VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_VERSION, sizeof(number)};
	for (size_t i = 0; i < sizeof(header); i++)
		assert_int_equal(send(frontend, (char *)&header + i, 1, 0), 1);
	assert_int_equal(send(frontend, &number, sizeof(number), 0), sizeof(number));
	vhost_user_send(frontend, VHOST_USER_SET_OWNER, 0, NULL, 0, -1);
	number = 0;
	expect_message(library, VHOST_USER_SET_PROTOCOL_FEATURES, &number, sizeof(number));
	assert_int_equal(number, 7);
	acknowledge(library, VHOST_USER_SET_PROTOCOL_FEATURES, 0);
	expect_message(library, VHOST_USER_SET_OWNER, NULL, 0);
	acknowledge(library, VHOST_USER_SET_OWNER, 0);
	assert_served(frontend, library); /* the frontend got no answer that it had not asked for */
	vhost_user_send(frontend, VHOST_USER_SET_OWNER, VHOST_USER_NEED_REPLY, NULL, 0, -1);
	expect_message(library, VHOST_USER_SET_OWNER, NULL, 0);
	acknowledge(library, VHOST_USER_SET_OWNER, 0);
	expect_message(frontend, VHOST_USER_SET_OWNER, &number, sizeof(number));
	assert_int_equal(number, 0);
	close(frontend);
	expect_end(library);
}

static void descriptors_pass(void **state)
{
	struct bed *bed = *state;
	uint64_t ring = 0;
	eventfd_t count = 0;
	int call = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	vhost_user_send(frontend, VHOST_USER_SET_VRING_CALL, 0, &ring, sizeof(ring), call);
	int passed = expect_message(library, VHOST_USER_SET_VRING_CALL, &ring, sizeof(ring));
	assert_true(passed >= 0);
	assert_true(fcntl(passed, F_GETFL) & O_NONBLOCK); /* no worker waits in a write to it */
	assert_int_equal(eventfd_write(passed, 3), 0);
	assert_int_equal(eventfd_read(call, &count), 0);
	assert_int_equal(count, 3);
	close(passed);
	close(call);
	close(frontend);
	close(library);
}

static void library_hears_of_no_breach(void **state)
{
	struct bed *bed = *state;
	const struct vhost_user_header breaches[] = {
		{0, VHOST_USER_VERSION, 0},
		{99, VHOST_USER_VERSION, 0},
		{VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, UINT32_MAX},
		{VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 9},
		{VHOST_USER_SET_OWNER, 2, 0},
	};
	char message[sizeof(breaches[0]) + 9] = {0}, nothing;

	assert_int_equal(open_gate(bed, false), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(breaches); i++) {
		int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
		memcpy(message, &breaches[i], sizeof(breaches[i]));
		assert_int_equal(send(frontend, message, sizeof(message), 0), sizeof(message));
		expect_hang_up(frontend);
		assert_int_equal(recv(library, &nothing, 1, 0), 0);
		close(frontend);
		close(library);
	}
	assert_int_equal(gate_refusals(bed->gate), ARRAY_SIZE(breaches));
}

/*
 * A refusal ends the connection, whether the frontend has asked for an answer or not: the library
 * would go on with half of what it knew.
 */
static void refusals_end_connections(void **state)
{
	struct bed *bed = *state;
	const uint32_t flags[] = {0, VHOST_USER_NEED_REPLY};
	uint64_t number = 7;

	assert_int_equal(open_gate(bed, false), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
		vhost_user_send(
			frontend, VHOST_USER_SET_FEATURES, flags[i], &number, sizeof(number), -1);
		expect_message(library, VHOST_USER_SET_FEATURES, &number, sizeof(number));
		acknowledge(library, VHOST_USER_SET_FEATURES, 1);
		expect_hang_up(frontend);
		expect_hang_up(library);
		close(frontend);
		close(library);
	}
	assert_int_equal(gate_refusals(bed->gate), ARRAY_SIZE(flags));
}

static void silence_holds_nobody_up(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_header header = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8};

	assert_int_equal(open_gate(bed, false), 0);
	int half = vhost_user_connect(bed->path), half_library = accept_at(bed->library_fd);
	assert_int_equal(send(half, &header, 6, 0), 6);
	int bare = vhost_user_connect(bed->path), bare_library = accept_at(bed->library_fd);
	assert_int_equal(send(bare, &header, sizeof(header), 0), sizeof(header));
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	assert_served(frontend, library);
	/* The library has seen nothing of the incomplete messages. */
	struct pollfd p[2] = {{half_library, POLLIN, 0}, {bare_library, POLLIN, 0}};
	assert_int_equal(poll(p, 2, 0), 0);
	close(half);
	close(bare);
	close(frontend);
	expect_hang_up(half_library);
	expect_hang_up(bare_library);
	close(half_library);
	close(bare_library);
	close(library);
}

/*
 * A frontend that does not read has at most one request at the library, so the library never has to
 * wait.
 */
static void questions_wait_for_answers(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	for (unsigned i = 0; i < 50; i++)
		vhost_user_send(frontend, VHOST_USER_GET_FEATURES, 0, NULL, 0, -1);
	expect_message(library, VHOST_USER_GET_FEATURES, NULL, 0);
	int other = vhost_user_connect(bed->path), other_library = accept_at(bed->library_fd);
	assert_served(other, other_library);
	struct pollfd p = {library, POLLIN, 0};
	assert_int_equal(poll(&p, 1, 0), 0);
	close(frontend);
	expect_end(library);
	close(other);
	close(other_library);
}

/* The fifth connection ends the first one, which did nothing. */
static void connections_are_few(void **state)
{
	struct bed *bed = *state;
	int frontends[5], libraries[5];

	assert_int_equal(open_gate(bed, false), 0);
	for (unsigned i = 0; i < 5; i++) {
		frontends[i] = vhost_user_connect(bed->path);
		libraries[i] = accept_at(bed->library_fd);
	}
	expect_hang_up(frontends[0]);
	expect_hang_up(libraries[0]);
	for (unsigned i = 1; i < 5; i++)
		assert_served(frontends[i], libraries[i]);
	for (unsigned i = 0; i < 5; i++) {
		close(frontends[i]);
		close(libraries[i]);
	}
}

/* Sends a message through the gate, which the library carries out. */
static void pass(
	int frontend, int library, uint32_t request, const void *payload, size_t bytes, int fd)
{
	union vhost_user_payload copy;

	vhost_user_send(frontend, request, 0, payload, bytes, fd);
	int passed = expect_message(library, request, &copy, bytes);
	assert_memory_equal(&copy, payload, bytes);
	if (passed >= 0)
		close(passed);
	acknowledge(library, request, 0);
}

static void start_ring(int frontend, int library, bool called)
{
	const uint64_t features = 1ULL << VIRTIO_F_VERSION_1, ring = 0, uva = 1ULL << 32;
	const struct vhost_user_memory memory = {
		.n_regions = 1, .regions = {{0, MEMORY_BYTES, uva, 0}}};
	const struct vhost_user_ring_state size = {0, 16};
	const struct vhost_user_ring_addr addr = {
		.desc = uva, .avail = uva + 1024, .used = uva + 2048};
	int memory_fd = memfd_create("test", MFD_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(ftruncate(memory_fd, MEMORY_BYTES), 0);
	pass(frontend, library, VHOST_USER_SET_FEATURES, &features, sizeof(features), -1);
	pass(frontend, library, VHOST_USER_SET_MEM_TABLE, &memory,
		offsetof(struct vhost_user_memory, regions[1]), memory_fd);
	pass(frontend, library, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1);
	pass(frontend, library, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	if (called)
		pass(frontend, library, VHOST_USER_SET_VRING_CALL, &ring, sizeof(ring), event);
	pass(frontend, library, VHOST_USER_SET_VRING_KICK, &ring, sizeof(ring), event);
	close(memory_fd);
	close(event);
}

/* The library is told, once for each time that the ring is started. The frontend does not notice.
 */
static void ring_may_be_without_calls(void **state)
{
	struct bed *bed = *state;
	const struct vhost_user_ring_state stopped = {0, 0};
	struct vhost_user_ring_state position;
	uint64_t number;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	for (unsigned i = 0; i < 2; i++) {
		start_ring(frontend, library, false);
		assert_int_equal(
			expect_message(library, VHOST_USER_SET_VRING_CALL, &number, sizeof(number)),
			-1);
		assert_int_equal(number, VHOST_USER_NO_FD);
		acknowledge(library, VHOST_USER_SET_VRING_CALL, 0);
		assert_served(frontend, library);
		vhost_user_send(
			frontend, VHOST_USER_GET_VRING_BASE, 0, &stopped, sizeof(stopped), -1);
		expect_message(library, VHOST_USER_GET_VRING_BASE, &position, sizeof(position));
		vhost_user_send(library, VHOST_USER_GET_VRING_BASE, VHOST_USER_REPLY, &stopped,
			sizeof(stopped), -1);
		expect_message(frontend, VHOST_USER_GET_VRING_BASE, &position, sizeof(position));
	}
	close(frontend);
	expect_end(library);
}

/* Whoever else connects, a VM that runs is not displaced. */
static void idle_connections_go_first(void **state)
{
	struct bed *bed = *state;
	int frontends[6], libraries[6];

	assert_int_equal(open_gate(bed, false), 0);
	for (unsigned i = 0; i < 6; i++) {
		frontends[i] = vhost_user_connect(bed->path);
		libraries[i] = accept_at(bed->library_fd);
		if (i == 0)
			start_ring(frontends[0], libraries[0], true);
	}
	for (unsigned i = 1; i <= 2; i++) {
		expect_hang_up(frontends[i]);
		expect_hang_up(libraries[i]);
	}
	assert_served(frontends[0], libraries[0]);
	assert_int_equal(gate_refusals(bed->gate), 0);
	for (unsigned i = 0; i < 6; i++) {
		close(frontends[i]);
		close(libraries[i]);
	}
}

static void library_may_hang_up(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, false), 0);
	int frontend = vhost_user_connect(bed->path), library = accept_at(bed->library_fd);
	assert_served(frontend, library);
	close(library);
	expect_end(frontend);
}

static void client_connects_as_soon_as_it_can(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(open_gate(bed, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		int listen_fd = listen_at(bed->path);
		int frontend = accept_at(listen_fd), library = accept_at(bed->library_fd);
		assert_served(frontend, library);
		close(listen_fd);
		unlink(bed->path);
		close(frontend);
		expect_end(library);
	}
}

struct frontend {
	const char *path;
	int fd;
	_Atomic bool watching;
	int connect_error; /* the last one, 0 if it has been connected */
};

/* Waits until it is hung up on, then tries to connect until the socket is gone. */
static void *come_back(void *argument)
{
	struct frontend *frontend = argument;
	char nothing;

	while (recv(frontend->fd, &nothing, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		frontend->watching = true;
	do {
		int fd = unix_socket_connect(frontend->path);
		frontend->connect_error = MIN(fd, 0);
		if (fd >= 0)
			close(fd);
	} while (frontend->connect_error == -ECONNREFUSED);
	return NULL;
}

/*
 * A VM that is hung up on is refused from then on. Some frontends (cloud-hypervisor) give up if
 * they are connected and then hung up on.
 */
static void nobody_comes_back_to_a_closing_gate(void **state)
{
	struct bed *bed = *state;

	for (unsigned i = 0; i < 50; i++) {
		struct frontend frontend = {.path = bed->path};
		pthread_t thread;

		assert_int_equal(open_gate(bed, false), 0);
		frontend.fd = vhost_user_connect(bed->path);
		int library = accept_at(bed->library_fd);
		assert_int_equal(pthread_create(&thread, NULL, come_back, &frontend), 0);
		while (!frontend.watching)
			;
		gate_hang_up(bed->gate);
		pthread_join(thread, NULL);
		assert_int_equal(frontend.connect_error, -ENOENT);
		expect_end(library);
		close(frontend.fd);
		bed->gate = gate_close(bed->gate);
	}
}

static void socket_is_its_owners(void **state)
{
	struct bed *bed = *state;
	struct stat st;

	close(listen_at(bed->path)); /* the file of a process that died */
	assert_int_equal(open_gate(bed, false), 0);
	assert_int_equal(stat(bed->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	struct gate *first = bed->gate;
	assert_int_equal(open_gate(bed, false), -EADDRINUSE);
	bed->gate = gate_close(first);
	assert_int_equal(stat(bed->path, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(messages_pass_both_ways),
		BED_TEST(descriptors_pass),
		BED_TEST(library_hears_of_no_breach),
		BED_TEST(refusals_end_connections),
		BED_TEST(silence_holds_nobody_up),
		BED_TEST(questions_wait_for_answers),
		BED_TEST(connections_are_few),
		BED_TEST(ring_may_be_without_calls),
		BED_TEST(idle_connections_go_first),
		BED_TEST(library_may_hang_up),
		BED_TEST(client_connects_as_soon_as_it_can),
		BED_TEST(nobody_comes_back_to_a_closing_gate),
		BED_TEST(socket_is_its_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
