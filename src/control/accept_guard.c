/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/accept_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Global, since accept4() has no argument by which it could be given these. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int reserve = -1;

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int accept_guard_init(void)
{
	reserve = open_reserve();
	return reserve < 0 ? -errno : 0;
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
	if (reserve >= 0)
		close(reserve);
	client = accept_by_system(fd, NULL, NULL, SOCK_CLOEXEC);
	if (client >= 0)
		close(client);
	reserve = open_reserve();
	pthread_mutex_unlock(&mutex);
	errno = ECONNABORTED;
	return -1;
}
