/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_closer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"

struct gate_closer {
	pthread_mutex_t mutex; /* protects all that follows; nobody who has it waits */
	bool busy;             /* there is a thread */
	bool freed;            /* the thread frees the closer at its end */
	unsigned n;
	int fds[GATE_CLOSER_MAX]; /* to be closed */
};

struct gate_closer *gate_closer_new(void)
{
	struct gate_closer *closer = calloc(1, sizeof(*closer));

	if (closer != NULL)
		pthread_mutex_init(&closer->mutex, NULL);
	return closer;
}

static void destroy(struct gate_closer *closer)
{
	pthread_mutex_destroy(&closer->mutex);
	free(closer);
}

struct gate_closer *gate_closer_free(struct gate_closer *closer)
{
	if (closer == NULL)
		return NULL;
	pthread_mutex_lock(&closer->mutex);
	bool busy = closer->busy;
	closer->freed = true;
	pthread_mutex_unlock(&closer->mutex);
	if (!busy)
		destroy(closer);
	return NULL;
}

static void *close_all(void *argument)
{
	struct gate_closer *closer = argument;

	pthread_setname_np(pthread_self(), "gate-closer");
	pthread_mutex_lock(&closer->mutex);
	while (closer->n > 0) {
		int fd = closer->fds[--closer->n];
		pthread_mutex_unlock(&closer->mutex);
		close(fd);
		pthread_mutex_lock(&closer->mutex);
	}
	closer->busy = false;
	bool freed = closer->freed;
	pthread_mutex_unlock(&closer->mutex);
	if (freed)
		destroy(closer);
	return NULL;
}

void gate_closer_close(struct gate_closer *closer, int fd)
{
	pthread_t thread;

	pthread_mutex_lock(&closer->mutex);
	assert(closer->n < GATE_CLOSER_MAX);
	closer->fds[closer->n++] = fd;
	if (!closer->busy)
		closer->busy = thread_start(&thread, true, close_all, closer) == 0;
	bool mine = !closer->busy;
	closer->n -= mine;
	pthread_mutex_unlock(&closer->mutex);
	if (mine)
		close(fd);
}

/* Once a socket is shut down, nothing is added to what has not been read. */
static bool has_unread(int fd)
{
	int bytes;

	return ioctl(fd, FIONREAD, &bytes) < 0 || bytes > 0;
}

void gate_closer_hang_up(struct gate_closer *closer, int fd)
{
	shutdown(fd, SHUT_RDWR);
	if (has_unread(fd))
		gate_closer_close(closer, fd);
	else
		close(fd);
}

bool gate_closer_is_busy(struct gate_closer *closer)
{
	pthread_mutex_lock(&closer->mutex);
	bool busy = closer->busy;
	pthread_mutex_unlock(&closer->mutex);
	return busy;
}
