/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_calls.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

void guest_calls_watch(struct guest *guest, struct guest_session *session, unsigned ring)
{
	pthread_mutex_lock(&guest->calls_mutex);
	session->watched_calls |= 1ULL << ring;
	pthread_mutex_unlock(&guest->calls_mutex);
}

void guest_calls_end(struct guest *guest, struct guest_session *session)
{
	pthread_mutex_lock(&guest->calls_mutex);
	session->watched_calls = 0;
	pthread_mutex_unlock(&guest->calls_mutex);
}

static unsigned add_calls(const struct guest_session *session, struct pollfd *calls)
{
	unsigned n = 0;

	for (uint64_t rest = session->watched_calls; rest != 0; rest &= rest - 1) {
		int fd = session->rings[__builtin_ctzll(rest)].call_fd;
		if (fd >= 0)
			calls[n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
	}
	return n;
}

/*
 * Not by read(): the guest might empty it first, and read() would then block. In that case this
 * fails, and there is nothing left to do.
 */
static void empty(int fd)
{
	eventfd_t count;
	struct iovec iov = {&count, sizeof(count)};

	if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		return;
}

enum gate_calls guest_calls_relieve(void *userdata)
{
	struct pollfd calls[GUEST_CONNECTIONS_MAX * RINGS_MAX];
	enum gate_calls found = GATE_NO_CALLS;
	struct guest *guest = userdata;
	unsigned n = 0;

	pthread_mutex_lock(&guest->calls_mutex);
	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		n += add_calls(&guest->connections[i], &calls[n]);
	if (n > 0)
		found = GATE_CALLS;
	if (poll(calls, n, 0) < (int)n)
		for (unsigned i = 0; i < n; i++)
			if (!(calls[i].revents & POLLOUT)) {
				empty(calls[i].fd);
				found = GATE_CALL_BLOCKED;
			}
	pthread_mutex_unlock(&guest->calls_mutex);
	return found;
}
