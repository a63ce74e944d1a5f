/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int pid_file_take(struct pid_file *file, const char *dir, struct err *err)
{
	char pid[16] = "";

	file->fd = -1;
	snprintf(file->path, sizeof(file->path), "%s/virtio-forwarder.pid", dir);
	int fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_set(err, errno, "pid file %s: %s", file->path, strerror(errno));
	/* The lock belongs to the open file, so a child of fork() goes on holding it. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (pread(fd, pid, sizeof(pid) - 1, 0) > 0)
			pid[strcspn(pid, "\n")] = '\0';
		close(fd);
		return err_set(err, EBUSY,
			"pid file %s: a daemon runs already (process %s): stop it or choose "
			"another directory "
			"with --pid-path",
			file->path, pid);
	}
	file->fd = fd;
	return 0;
}

int pid_file_write(struct pid_file *file, struct err *err)
{
	if (ftruncate(file->fd, 0) < 0 || dprintf(file->fd, "%d\n", getpid()) < 0)
		return err_set(err, errno, "pid file %s: %s", file->path, strerror(errno));
	return 0;
}

void pid_file_release(struct pid_file *file)
{
	if (file->fd < 0)
		return;
	unlink(file->path);
	close(file->fd);
	file->fd = -1;
}
