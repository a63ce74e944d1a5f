/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int daemonize_start(struct daemonize *daemonize, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_set(err, errno, "fork: %s", strerror(errno));
	}
	if (pid > 0) {
		char ready;
		close(fds[1]);
		/* End of file instead of a byte means that the child died; it has said why. */
		_exit(read(fds[0], &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(fds[0]);
	daemonize->ready_fd = fds[1];
	if (setsid() < 0 || chdir("/") < 0)
		return err_set(err, errno, "cannot detach: %s", strerror(errno));
	return 0;
}

void daemonize_ready(struct daemonize *daemonize)
{
	if (daemonize->ready_fd < 0)
		return;

	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(daemonize->ready_fd, "", 1) < 0) {
		/* The parent was killed: nobody is waiting any more. */
	}
	close(daemonize->ready_fd);
	daemonize->ready_fd = -1;
}
