/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/descriptor_reserve.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Of epoll's kind, so that epoll_create() can hand it out. Global, since the C library's functions
 * have no argument for it.
 */
static atomic_int reserve = -1;

static int open_epoll(void)
{
	return (int)syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
}

/* Opens a new reserve if there is none, and a descriptor is left. */
static void refill(void)
{
	int none = -1;

	if (atomic_load(&reserve) >= 0)
		return;
	int fd = open_epoll();
	if (fd >= 0 && !atomic_compare_exchange_strong(&reserve, &none, fd))
		close(fd);
}

static int take(void)
{
	return atomic_exchange(&reserve, -1);
}

int descriptor_reserve_init(void)
{
	refill();
	return atomic_load(&reserve) < 0 ? -errno : 0;
}

bool descriptor_reserve_is_last(void)
{
	int fd = open_epoll();

	if (fd < 0)
		return errno == EMFILE;
	close(fd);
	return false;
}

static int accept_by_system(int fd, struct sockaddr *addr, socklen_t *addr_bytes, int flags)
{
	return (int)syscall(SYS_accept4, fd, addr, addr_bytes, flags);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *addr_bytes, int flags)
{
	int client = accept_by_system(fd, addr, addr_bytes, flags);

	if (client >= 0) {
		refill();
		return client;
	}
	if (errno != EMFILE)
		return -1;
	close(take());
	client = accept_by_system(fd, NULL, NULL, SOCK_CLOEXEC);
	if (client >= 0)
		close(client);
	refill();
	errno = ECONNABORTED;
	return -1;
}

int epoll_create(int size)
{
	int fd = open_epoll();

	if (fd >= 0) {
		refill();
	} else if (errno == EMFILE) {
		fd = take();
		errno = EMFILE;
	}
	return fd;
}
