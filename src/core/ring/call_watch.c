/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/call_watch.h"

#include <stdatomic.h>
#include <sys/eventfd.h>

enum state { RESTING, QUIET, CALLED };

static struct {
	_Atomic enum state state;
	int wake_fd;
} watch = {.wake_fd = -1};

void call_watch_open(int wake_fd)
{
	watch.wake_fd = wake_fd;
	atomic_store(&watch.state, CALLED);
}

void call_watch_note(void)
{
	if (atomic_load_explicit(&watch.state, memory_order_relaxed) == CALLED)
		return;
	if (atomic_exchange(&watch.state, CALLED) == RESTING)
		eventfd_write(watch.wake_fd, 1);
}

bool call_watch_look(void)
{
	enum state state = atomic_load(&watch.state);

	/* Fails if it becomes CALLED meanwhile: then the watcher stays awake. */
	return !atomic_compare_exchange_strong(
		       &watch.state, &state, state == CALLED ? QUIET : RESTING) ||
	       state == CALLED;
}
