/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * wake SLEEPER_CPU WRITER_CPU INTERVAL_US COUNT: how long this machine takes to run a thread that
 * sleeps as an idle worker does, in epoll_pwait2() on an eventfd with the worker's timer slack.
 * Prints the microseconds from each write to the return of the call, one per line.
 */

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000

static int event_fd;
static int64_t *written_ns; /* by number of the write; passed on by the eventfd */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void run_on(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	errno = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (errno != 0)
		err(1, "CPU %u", cpu);
}

struct sleeper {
	unsigned cpu;
	unsigned count;
};

static void *sleep_and_wake(void *argument)
{
	const struct sleeper *sleeper = argument;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll_fd = epoll_create1(0);

	run_on(sleeper->cpu);
	prctl(PR_SET_TIMERSLACK, 1000 /* ns, as in src/core/lane/worker.c */);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) < 0)
		err(1, "epoll");
	for (unsigned i = 0; i < sleeper->count;) {
		if (epoll_pwait2(epoll_fd, &event, 1, NULL, NULL) != 1)
			continue;
		int64_t woken_ns = now_ns();
		uint64_t writes;

		/* Of several writes at once, only the first one woke us. */
		if (read(event_fd, &writes, sizeof(writes)) < 0)
			err(1, "eventfd");
		printf("%.1f\n", (double)(woken_ns - written_ns[i]) / 1000);
		i += writes;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 5)
		errx(2, "usage: wake SLEEPER_CPU WRITER_CPU INTERVAL_US COUNT");
	struct sleeper sleeper = {.cpu = atoi(argv[1]), .count = atoi(argv[4])};
	const int64_t interval_ns = atoi(argv[3]) * 1000LL;

	event_fd = eventfd(0, 0);
	written_ns = calloc(sleeper.count, sizeof(*written_ns));
	if (event_fd < 0 || written_ns == NULL)
		err(1, "start");
	run_on(atoi(argv[2]));
	errno = pthread_create(&thread, NULL, sleep_and_wake, &sleeper);
	if (errno != 0)
		err(1, "thread");
	for (int64_t i = 0, due_ns = now_ns(); i < sleeper.count; i++) {
		due_ns += interval_ns;
		while (now_ns() < due_ns)
			sched_yield(); /* like packet-peer, whose CPU does not sleep */
		written_ns[i] = now_ns();
		if (eventfd_write(event_fd, 1) < 0)
			err(1, "eventfd");
	}
	pthread_join(thread, NULL);
	return 0;
}
