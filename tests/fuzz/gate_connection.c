/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both sides of a gate as byte streams. A step is a byte: its low bits say who writes (0..2 the
 * frontend, 3 the library), its high bits how many descriptors come along. Then follow the numbers
 * of these, a length (a byte) and the bytes. What comes out towards the library must be whole
 * messages, which a judge who knows only them accepts; and no descriptor may be left open.
 */
#include "core/gate/gate_connection.h"
#include "guest_fds.h"
#include "soundness.h"

#include <errno.h>
#include <sched.h>

#define HEADER_BYTES sizeof(struct vhost_user_header)

/* The library's end: reads messages as they arrive. */
struct library {
	int fd;
	struct gate_rules rules;
	struct vhost_user_message message;
	size_t done;
	int fds[MEMORY_REGIONS_MAX];
	unsigned n_fds;
};

static void write_some(int fd, struct input *input, unsigned n_fds)
{
	const int *have = guest_fds();
	uint8_t bytes[256];
	union {
		char data[CMSG_SPACE(sizeof(int) * 8)];
		struct cmsghdr alignment;
	} control;
	int fds[8];

	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = have[input_byte(input) % GUEST_FDS];
	struct iovec iov = {bytes, input_byte(input)};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	input_bytes(input, bytes, iov.iov_len);
	if (n_fds > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	if (iov.iov_len > 0)
		sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Reads up to `bytes` of a message, with the descriptors that come along. False if nothing is
 * there.
 */
static bool read_part(struct library *library, void *to, size_t bytes)
{
	union {
		char data[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr alignment;
	} control;
	struct iovec iov = {to, bytes};
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(library->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return false;
	require(!(header.msg_flags & MSG_CTRUNC));
	library->done += (size_t)n;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	if (cmsg) {
		unsigned more = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		require(library->n_fds + more <= MEMORY_REGIONS_MAX);
		memcpy(library->fds + library->n_fds, CMSG_DATA(cmsg), more * sizeof(int));
		library->n_fds += more;
	}
	return true;
}

static void hear(struct library *library)
{
	struct vhost_user_message *message = &library->message;
	struct err err = {""};

	for (;;) {
		bool header = library->done < HEADER_BYTES;
		size_t end = HEADER_BYTES + (header ? 0 : message->header.payload_bytes);

		require(header || message->header.payload_bytes <= sizeof(message->payload));
		if (header ? !read_part(library, (char *)&message->header + library->done,
				     end - library->done)
			   : library->done < end && !read_part(library,
							    (char *)&message->payload +
								    library->done - HEADER_BYTES,
							    end - library->done))
			return;
		if (library->done < HEADER_BYTES ||
			library->done < HEADER_BYTES + message->header.payload_bytes)
			continue;
		if (gate_rules_check(&library->rules, message, library->fds, library->n_fds, &err) <
			0)
			fprintf(stderr, "%s\n", err.text);
		require(!err.text[0]);
		require_sound(&library->rules);
		for (unsigned i = 0; i < library->n_fds; i++)
			close(library->fds[i]);
		library->done = library->n_fds = 0;
		memset(message, 0, sizeof(*message));
	}
}

/* The lowest free descriptor: it rises if one is left open. */
static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct library library = {0};
	int frontend[2], onward[2], r = 0;
	struct err err = {""};

	guest_fds();
	int free_before = lowest_free();
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, frontend) == 0);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, onward) == 0);
	library.fd = onward[1];
	struct gate_closer *closer = gate_closer_new();
	struct gate_connection *connection = gate_connection_new(frontend[1], onward[0], closer);
	require(closer && connection);
	while (r == 0 && input.left > 0) {
		uint8_t step = input_byte(&input);

		write_some((step & 3) == 3 ? onward[1] : frontend[0], &input, step >> 2 & 7);
		gate_connection_frontend_events(connection);
		gate_connection_library_events(connection);
		r = gate_connection_proceed(connection, &err);
		require(r == 0 || r == -ECONNRESET || err.text[0]);
		hear(&library);
		char answers[512];
		while (recv(frontend[0], answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
	}
	gate_connection_free(connection);
	while (gate_closer_is_busy(closer))
		sched_yield();
	gate_closer_free(closer);
	for (unsigned i = 0; i < library.n_fds; i++)
		close(library.fds[i]);
	close(frontend[0]);
	close(onward[1]);
	require(lowest_free() == free_before);
	return 0;
}
