/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/descriptor_reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Global, since the C library's functions have no argument for it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int reserve = -1;

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int descriptor_reserve_init(void)
{
	reserve = open_reserve();
	return reserve < 0 ? -errno : 0;
}

/* The next descriptor that this thread opens has its number, unless another thread is quicker. */
static void release(void)
{
	if (reserve >= 0)
		close(reserve);
	reserve = -1;
}

static int accept_by_system(int fd, struct sockaddr *addr, socklen_t *addr_bytes, int flags)
{
	return (int)syscall(SYS_accept4, fd, addr, addr_bytes, flags);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *addr_bytes, int flags)
{
	int client = accept_by_system(fd, addr, addr_bytes, flags);

	if (client >= 0 || errno != EMFILE)
		return client;
	pthread_mutex_lock(&mutex);
	release();
	client = accept_by_system(fd, NULL, NULL, SOCK_CLOEXEC);
	if (client >= 0)
		close(client);
	reserve = open_reserve();
	pthread_mutex_unlock(&mutex);
	errno = ECONNABORTED;
	return -1;
}

int epoll_create(int size)
{
	int fd = (int)syscall(SYS_epoll_create1, 0);

	if (fd >= 0 || errno != EMFILE)
		return fd;
	pthread_mutex_lock(&mutex);
	release();
	fd = (int)syscall(SYS_epoll_create1, 0);
	pthread_mutex_unlock(&mutex);
	return fd; /* accept4() opens a new reserve as soon as it can */
}
