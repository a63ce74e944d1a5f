/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the child by the signal that has arrived, and then this process. */
_Noreturn static void stop_child(pid_t child, int signals, const sigset_t *stops)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) == sizeof(info)) {
		kill(child, (int)info.ssi_signo);
		waitpid(child, NULL, 0);
		signal((int)info.ssi_signo, SIG_DFL);
		raise((int)info.ssi_signo);
		sigprocmask(SIG_UNBLOCK, stops, NULL);
	}
	_exit(EXIT_FAILURE);
}

_Noreturn static void wait_until_ready(pid_t child, int ready_fd)
{
	sigset_t stops;
	char ready;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	struct pollfd fds[] = {
		{.fd = signalfd(-1, &stops, SFD_CLOEXEC), .events = POLLIN},
		{.fd = ready_fd, .events = POLLIN},
	};
	while (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno == EINTR)
		;
	if (fds[0].revents & POLLIN)
		stop_child(child, fds[0].fd, &stops);
	/* End of file instead of a byte means that the child died; it has said why. */
	_exit(read(ready_fd, &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

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
		close(fds[1]);
		wait_until_ready(pid, fds[0]);
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
