/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "core/gate/bus_error.h"
#include "core/gate/vhost_user.h"
#include "core/gate/vhost_user_fixture.h"

int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

int accept_at(int listen_fd)
{
	struct pollfd p = {.fd = listen_fd, .events = POLLIN};
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	log_open("test", LOG_EMERG);
	strcpy(bed->dir, "/tmp/gate-test.XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	snprintf(bed->path, sizeof(bed->path), "%s/frontend", bed->dir);
	snprintf(bed->library, sizeof(bed->library), "%s/library", bed->dir);
	bed->library_fd = listen_at(bed->library);
	*state = bed;
	return 0;
}

int free_bed(void **state)
{
	struct bed *bed = *state;

	gate_close(bed->gate);
	gatekeeper_stop(bed->keeper);
	bus_error_close();
	signal(SIGBUS, SIG_DFL); /* not cmocka's handler, which was there before */
	close(bed->library_fd);
	unlink(bed->library);
	unlink(bed->path);
	int r = rmdir(bed->dir); /* nothing else is left there */
	free(bed);
	return r;
}

/* In the test itself, because cmocka installs its own SIGBUS handler while a test runs. */
static void start_keeper(struct bed *bed)
{
	if (bed->keeper != NULL)
		return;
	assert_int_equal(bus_error_open(NULL), 0);
	assert_int_equal(gatekeeper_start(&bed->keeper, NULL), 0);
}

/* Plays the guest's eventfds: reports what the next look is to find. */
static enum gate_calls look(void *userdata)
{
	struct bed *bed = userdata;

	atomic_fetch_add(&bed->n_looks, 1);
	return atomic_exchange(&bed->next_look, GATE_CALLS);
}

int open_gate(struct bed *bed, bool client)
{
	struct gate_options options = {
		.path = bed->path,
		.client = client,
		.uid = -1,
		.gid = -1,
		.library_socket = open(bed->library, O_PATH | O_CLOEXEC),
		.features_remedy = "think of something",
		.relieve = look,
		.userdata = bed,
	};

	start_keeper(bed);
	int r = gate_open(&bed->gate, bed->keeper, &options, NULL);
	if (r < 0)
		close(options.library_socket);
	return r;
}

int expect_message(int fd, uint32_t request, void *ret_payload, size_t bytes)
{
	struct vhost_user_header header;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&header, sizeof(header)};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	int passed_fd = -1;

	assert_int_equal(recvmsg(fd, &message, MSG_WAITALL), sizeof(header));
	assert_int_equal(header.request, request);
	assert_int_equal(header.payload_bytes, bytes);
	if (bytes > 0)
		assert_int_equal(recv(fd, ret_payload, bytes, MSG_WAITALL), bytes);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg != NULL)
		memcpy(&passed_fd, CMSG_DATA(cmsg), sizeof(int));
	return passed_fd;
}

void expect_hang_up(int fd)
{
	char rest[4096];
	ssize_t n;

	do
		n = recv(fd, rest, sizeof(rest), 0);
	while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
}

void expect_end(int fd)
{
	expect_hang_up(fd);
	close(fd);
}

void acknowledge(int library, uint32_t request, uint64_t number)
{
	vhost_user_send(library, request, VHOST_USER_REPLY, &number, sizeof(number), -1);
}

void assert_served(int frontend, int library)
{
	uint64_t number = 0x1234;

	vhost_user_send(frontend, VHOST_USER_GET_FEATURES, 0, NULL, 0, -1);
	expect_message(library, VHOST_USER_GET_FEATURES, NULL, 0);
	vhost_user_send(
		library, VHOST_USER_GET_FEATURES, VHOST_USER_REPLY, &number, sizeof(number), -1);
	number = 0;
	expect_message(frontend, VHOST_USER_GET_FEATURES, &number, sizeof(number));
	assert_int_equal(number, 0x1234);
}
