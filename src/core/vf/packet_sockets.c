/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/packet_sockets.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool is_packet_socket(int fd)
{
	int domain;
	socklen_t length = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_PACKET;
}

void packet_sockets_list(struct packet_sockets *ret_sockets)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	ret_sockets->n = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name); /* 0 for "." and "..", which is no packet socket */
		if (ret_sockets->n < PACKET_SOCKETS_MAX && is_packet_socket(fd))
			ret_sockets->fds[ret_sockets->n++] = fd;
	}
	if (dir != NULL)
		closedir(dir);
}

static bool contains(const struct packet_sockets *sockets, int fd)
{
	for (unsigned i = 0; i < sockets->n; i++)
		if (sockets->fds[i] == fd)
			return true;
	return false;
}

unsigned packet_sockets_since(const struct packet_sockets *before, int *ret_fds, unsigned max)
{
	struct packet_sockets now;
	unsigned n = 0;

	packet_sockets_list(&now);
	for (unsigned i = 0; i < now.n && n < max; i++)
		if (!contains(before, now.fds[i]))
			ret_fds[n++] = now.fds[i];
	return n;
}

bool packet_sockets_push(int fd)
{
	ssize_t r = send(fd, NULL, 0, MSG_DONTWAIT); /* 0: the ring is empty */

	return r > 0 || (r < 0 && (errno == EAGAIN || errno == ENOBUFS));
}

/* By another name, since glibc declares of poll() that it does not read `fds`. */
int packet_sockets_poll(struct pollfd *fds, nfds_t n, int timeout_ms) __asm__("poll");

int packet_sockets_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L}, none = {0};

	if (timeout_ms >= 0)
		return ppoll(fds, n, &limit, NULL);
	return ppoll(fds, n, n == 1 && is_packet_socket(fds->fd) ? &none : NULL, NULL);
}
