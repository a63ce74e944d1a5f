/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define HEADER_BYTES sizeof(struct vhost_user_header)
#define STEPS_AT_ONCE 64 /* of one connection, before others have their turn */

struct gate_connection *gate_connection_new(
	int frontend_fd, int library_fd, struct gate_closer *closer)
{
	struct gate_connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL)
		return NULL;
	/* Out-of-band data would be thrown away when it is passed over, with its descriptors. */
	setsockopt(frontend_fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
	connection->frontend_fd = frontend_fd;
	connection->library_fd = library_fd;
	connection->closer = closer;
	return connection;
}

struct gate_connection *gate_connection_free(struct gate_connection *connection)
{
	if (connection == NULL)
		return NULL;
	for (unsigned i = 0; i < connection->n_fds; i++)
		gate_closer_close(connection->closer, connection->fds[i]);
	for (unsigned i = 0; i < connection->n_seen_fds; i++)
		gate_closer_close(connection->closer, connection->seen_fds[i]);
	gate_closer_hang_up(connection->closer, connection->frontend_fd);
	close(connection->library_fd);
	free(connection);
	return NULL;
}

/* If the side that is not at work hangs up, poll() says so without being asked. */
short gate_connection_frontend_events(const struct gate_connection *connection)
{
	return connection->phase == GATE_REQUEST         ? POLLIN
	       : connection->phase == GATE_ANSWER_ONWARD ? POLLOUT
	                                                 : 0;
}

short gate_connection_library_events(const struct gate_connection *connection)
{
	return connection->phase == GATE_ANSWER           ? POLLIN
	       : connection->phase == GATE_REQUEST_ONWARD ? POLLOUT
	                                                  : 0;
}

/* Where the message goes on, and the number of bytes to the end of this part. */
static void *next_part(struct gate_connection *connection, size_t *ret_bytes)
{
	struct vhost_user_message *message = &connection->message;

	if (connection->done < HEADER_BYTES) {
		*ret_bytes = HEADER_BYTES - connection->done;
		return (char *)&message->header + connection->done;
	}
	*ret_bytes = HEADER_BYTES + message->header.payload_bytes - connection->done;
	return (char *)&message->payload + (connection->done - HEADER_BYTES);
}

static bool is_complete(const struct gate_connection *connection)
{
	return connection->done >= HEADER_BYTES &&
	       connection->done == HEADER_BYTES + connection->message.header.payload_bytes;
}

/* What it means that nothing was read: 0 if there is nothing yet, or -ECONNRESET. */
static int nothing_read(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -ECONNRESET;
}

/*
 * Looks at what the frontend has sent, up to `bytes`. Returns how much of it may be read, 0 if
 * nothing is there, or a negative errno.
 *
 * In a read the kernel closes, in this thread, the descriptors that it cannot hand out. So they are
 * taken with a look, and nothing is read if one is missing. The look ends with the first bytes that
 * have some. Before Linux 6.9 it may go on into a byte out of band, at which the read stops.
 */
static ssize_t look(struct gate_connection *connection, void *buffer, size_t bytes)
{
	char control[CMSG_SPACE(GATE_FDS_MAX * sizeof(int))];
	struct iovec iov = {buffer, bytes};
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};

	ssize_t n = recvmsg(
		connection->frontend_fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return nothing_read(n);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
		size_t fds_bytes = cmsg->cmsg_len - CMSG_LEN(0);
		memcpy(connection->seen_fds, CMSG_DATA(cmsg), fds_bytes);
		connection->n_seen_fds = fds_bytes / sizeof(int);
	}
	return header.msg_flags & MSG_CTRUNC ? -EPROTO : n;
}

/* What has been read had descriptors, those that were seen. */
static int take_seen(struct gate_connection *connection)
{
	if (connection->n_fds + connection->n_seen_fds > GATE_FDS_MAX)
		return -EPROTO;
	memcpy(&connection->fds[connection->n_fds], connection->seen_fds,
		connection->n_seen_fds * sizeof(int));
	connection->n_fds += connection->n_seen_fds;
	connection->n_seen_fds = 0;
	return 1;
}

/*
 * Reads what is there of the current part. 1 if something was there, 0 if not, or a negative errno.
 */
static int receive_part(struct gate_connection *connection, int fd)
{
	struct iovec iov;
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	iov.iov_base = next_part(connection, &iov.iov_len);
	if (fd == connection->frontend_fd && connection->n_seen_fds == 0) {
		ssize_t n = look(connection, iov.iov_base, iov.iov_len);
		if (n <= 0)
			return (int)n;
		iov.iov_len = n;
	}
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT);
	if (n <= 0)
		return nothing_read(n);
	connection->done += n;
	/* The flag says that there were descriptors, for which we have left no room. */
	return header.msg_flags & MSG_CTRUNC ? take_seen(connection) : 1;
}

/* These have been judged: closing them does not wait. */
static void close_passed_on(struct gate_connection *connection)
{
	for (unsigned i = 0; i < connection->n_fds; i++)
		close(connection->fds[i]);
	connection->n_fds = 0;
}

static int send_part(struct gate_connection *connection, int fd)
{
	char control[CMSG_SPACE(GATE_FDS_MAX * sizeof(int))] = {0};
	struct iovec iov;
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	iov.iov_base = next_part(connection, &iov.iov_len);
	if (connection->n_fds > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(connection->n_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(connection->n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), connection->fds, connection->n_fds * sizeof(int));
	}
	ssize_t n = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	close_passed_on(connection);
	connection->done += n;
	return 1;
}

static int refuse_length(const struct vhost_user_header *header, struct err *err)
{
	if (header->request == VHOST_USER_SET_MEM_TABLE)
		return err_set(err, EPROTO,
			"SET_MEM_TABLE with more than %u regions: give the VM its memory in fewer "
			"parts (what is added later: by virtio-mem, not as DIMMs)",
			MEMORY_REGIONS_MAX);
	return err_set(err, EPROTO, "message %u with a payload of %u bytes", header->request,
		header->payload_bytes);
}

static int receive(struct gate_connection *connection, int fd, struct err *err)
{
	const struct vhost_user_header *header = &connection->message.header;

	while (!is_complete(connection)) {
		int r = receive_part(connection, fd);
		if (r == 0 || r == -ECONNRESET)
			return r;
		/* A look has filled the header in, even if there are too many descriptors. */
		if ((connection->done == HEADER_BYTES || r < 0) &&
			header->payload_bytes > sizeof(connection->message.payload))
			return refuse_length(header, err);
		if (r < 0)
			return err_set(err, EPROTO,
				"it came without its descriptors: too many of them, none "
				"left here, or kept back by AppArmor or SELinux (see the "
				"kernel's log)");
	}
	return 1;
}

static int transmit(struct gate_connection *connection, int fd)
{
	while (!is_complete(connection)) {
		int r = send_part(connection, fd);
		if (r <= 0)
			return r;
	}
	return 1;
}

/*
 * Makes writes to a guest's call eventfd fail rather than block. The guest can undo that: see
 * guest_calls.h.
 */
static void keep_from_blocking(int call_fd)
{
	fcntl(call_fd, F_SETFL, fcntl(call_fd, F_GETFL) | O_NONBLOCK);
}

static int judge(struct gate_connection *connection, struct err *err)
{
	struct vhost_user_header *header = &connection->message.header;
	int r = gate_rules_check(
		&connection->rules, &connection->message, connection->fds, connection->n_fds, err);

	if (r < 0)
		return r;
	gate_rules_complete_request(&connection->rules, &connection->message);
	if (header->request == VHOST_USER_SET_VRING_CALL && connection->n_fds > 0)
		keep_from_blocking(connection->fds[0]);
	if (gate_rules_answered(header->request)) {
		connection->answer_wanted = true;
		header->flags &= ~VHOST_USER_NEED_REPLY;
	} else {
		connection->answer_wanted = header->flags & VHOST_USER_NEED_REPLY;
		header->flags |= VHOST_USER_NEED_REPLY;
	}
	return 0;
}

static void enter(struct gate_connection *connection, enum gate_phase phase)
{
	connection->phase = phase;
	connection->done = 0;
}

/* The frontend has had its answer, or wants none. */
static void go_on(struct gate_connection *connection)
{
	connection->answer_wanted = false;
	enter(connection, gate_rules_add_request(&connection->rules, &connection->message)
				  ? GATE_REQUEST_ONWARD
				  : GATE_REQUEST);
}

/*
 * Does what the phase is for. 1 if the phase is over, 0 if there is something to wait for, or a
 * negative errno.
 */
static int step(struct gate_connection *connection, struct err *err)
{
	int r = 0;

	switch (connection->phase) {
	case GATE_REQUEST:
		r = receive(connection, connection->frontend_fd, err);
		if (r == 1)
			r = judge(connection, err) < 0 ? -EPROTO : 1;
		if (r == 1)
			enter(connection, GATE_REQUEST_ONWARD);
		break;
	case GATE_REQUEST_ONWARD:
		r = transmit(connection, connection->library_fd);
		if (r == 1)
			enter(connection, GATE_ANSWER);
		break;
	case GATE_ANSWER:
		r = receive(connection, connection->library_fd, err);
		if (r == 1)
			r = gate_rules_check_answer(&connection->message, err) < 0 ? -EPROTO : 1;
		if (r == 1) {
			gate_rules_complete_answer(&connection->rules, &connection->message);
			if (connection->answer_wanted)
				enter(connection, GATE_ANSWER_ONWARD);
			else
				go_on(connection);
		}
		break;
	case GATE_ANSWER_ONWARD:
		r = transmit(connection, connection->frontend_fd);
		if (r == 1)
			go_on(connection);
		break;
	}
	return r;
}

int gate_connection_proceed(struct gate_connection *connection, struct err *err)
{
	int r = 1;

	for (unsigned i = 0; i < STEPS_AT_ONCE && r > 0; i++)
		r = step(connection, err);
	return MIN(r, 0);
}
