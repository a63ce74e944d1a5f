/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/clients/capture_source.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/endpoints.h"
#include "wire/client.h"

struct ring {
	unsigned direction;
	struct capture_ring *shared;
	uint64_t head; /* as of the last look */
	uint64_t tail;
	struct capture_record next; /* the oldest record, if tail is not head */
};

struct capture_source {
	int socket;
	struct capture_memory *memory;
	bool ended; /* no more looks */
	unsigned n;
	struct ring rings[DIRECTIONS_N * SLICES_MAX];
	uint8_t data[CAPTURE_SNAPLEN_MAX];
};

static int connect_to(int fd, const char *endpoint, struct err *err)
{
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_MS / 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = endpoint_ipc_path(endpoint);

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return err_set(
			err, EINVAL, "'%s' is no endpoint like %s", endpoint, CAPTURE_ENDPOINT);
	strcpy(addr.sun_path, path);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, errno,
			"no daemon at %s: %s; is it running, with VIRTIOFWD_CAPTURE_EP "
			"(--capture-ep), and is this root?",
			path, strerror(errno));
	return 0;
}

/* Receives the daemon's answer, and the descriptor that came with it (-1: none). */
static int receive(int fd, struct capture_answer *ret_answer, int *ret_fd, struct err *err)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = {.iov_base = ret_answer, .iov_len = sizeof(*ret_answer)};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return err_set(err, errno == EAGAIN ? ETIMEDOUT : errno,
			"the daemon does not answer: %s", strerror(errno));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*ret_fd = -1;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	if (n != sizeof(*ret_answer))
		return err_set(err, EPROTO, "the daemon has closed the connection");
	ret_answer->text[sizeof(ret_answer->text) - 1] = '\0';
	return 0;
}

static int ask(struct capture_source *source, const char *endpoint,
	const struct capture_request *request, struct err *err)
{
	_cleanup_close_ int memory_fd = -1;
	struct capture_answer answer;

	int r = connect_to(source->socket, endpoint, err);
	if (r < 0)
		return r;
	if (send(source->socket, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request))
		return err_set(err, errno, "the daemon does not listen: %s", strerror(errno));
	r = receive(source->socket, &answer, &memory_fd, err);
	if (r < 0)
		return r;
	if (answer.code != 0)
		return err_set(err, answer.code, "%s", answer.text);
	void *memory = mmap(
		NULL, sizeof(*source->memory), PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	if (memory == MAP_FAILED)
		return err_set(err, errno, "the daemon's memory: %s", strerror(errno));
	source->memory = memory;
	return 0;
}

int capture_source_open(struct capture_source **ret_source, const char *endpoint,
	const struct capture_request *request, struct err *err)
{
	struct capture_source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return err_set(err, ENOMEM, "out of memory");
	source->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = source->socket < 0 ? err_set(err, errno, "no socket: %s", strerror(errno))
	                           : ask(source, endpoint, request, err);
	if (r < 0) {
		capture_source_free(source);
		return r;
	}
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned s = 0; request->directions & 1u << d && s < SLICES_MAX; s++)
			source->rings[source->n++] = (struct ring){
				.direction = d, .shared = &source->memory->directions[d].slices[s]};
	*ret_source = source;
	return 0;
}

struct capture_source *capture_source_free(struct capture_source *source)
{
	if (source == NULL)
		return NULL;
	if (source->memory != NULL)
		munmap(source->memory, sizeof(*source->memory));
	if (source->socket >= 0)
		close(source->socket);
	free(source);
	return NULL;
}

int capture_source_fd(const struct capture_source *source)
{
	return source->socket;
}

/* Copies from a position of the ring, wrapping at its end. */
static void get(const struct ring *ring, uint64_t position, void *ret_data, uint32_t length)
{
	uint32_t at = position % CAPTURE_RING_BYTES;
	uint32_t first = MIN(length, CAPTURE_RING_BYTES - at);

	memcpy(ret_data, ring->shared->data + at, first);
	memcpy((uint8_t *)ret_data + first, ring->shared->data, length - first);
}

static void read_record(struct ring *ring)
{
	if (ring->tail != ring->head)
		get(ring, ring->tail, &ring->next, sizeof(ring->next));
}

/* Looks for records that have come since the last look. */
static void look(struct ring *ring)
{
	ring->head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
	read_record(ring);
}

static void look_at_all(struct capture_source *source)
{
	for (unsigned i = 0; i < source->n; i++)
		look(&source->rings[i]);
}

static struct ring *oldest(struct capture_source *source)
{
	struct ring *found = NULL;

	for (unsigned i = 0; i < source->n; i++) {
		struct ring *ring = &source->rings[i];

		if (ring->tail != ring->head &&
			(found == NULL || ring->next.time_ns < found->next.time_ns))
			found = ring;
	}
	return found;
}

bool capture_source_next(struct capture_source *source, struct captured *ret_packet)
{
	struct ring *ring = oldest(source);

	if (ring == NULL && !source->ended) {
		look_at_all(source);
		ring = oldest(source);
	}
	if (ring == NULL)
		return false;
	*ret_packet = (struct captured){
		.direction = ring->direction, .record = ring->next, .data = source->data};
	get(ring, ring->tail + sizeof(ring->next), source->data,
		MIN(ring->next.kept, CAPTURE_SNAPLEN_MAX));
	ring->tail += capture_record_bytes(ring->next.kept);
	atomic_store_explicit(&ring->shared->tail, ring->tail, memory_order_release);
	read_record(ring);
	return true;
}

void capture_source_end(struct capture_source *source)
{
	look_at_all(source);
	source->ended = true;
}

uint64_t capture_source_lost(const struct capture_source *source, unsigned direction)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < source->n; i++)
		if (source->rings[i].direction == direction)
			lost += atomic_load_explicit(
				&source->rings[i].shared->lost, memory_order_relaxed);
	return lost;
}
