/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * nap INTERVAL_US: sleeps that long as an idle worker does, in epoll_pwait2() and with the worker's
 * timer slack, again and again until it is killed. Its cost is the machine's own.
 */

#include <err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct epoll_event event;
	int epoll_fd = epoll_create1(0);

	if (argc != 2)
		errx(2, "usage: nap INTERVAL_US");
	if (epoll_fd < 0)
		err(1, "epoll");
	const struct timespec interval = {.tv_nsec = atoi(argv[1]) * 1000L};

	prctl(PR_SET_TIMERSLACK, 1000 /* ns, as in src/core/lane/worker.c */);
	while (epoll_pwait2(epoll_fd, &event, 1, &interval, NULL) == 0)
		;
	err(1, "epoll_pwait2");
}
