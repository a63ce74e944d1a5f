/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/file_id.h"

#define TRIES 16

/* False if the file has been removed, and perhaps made anew, since it was opened. */
static bool is_there(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	       file_id_equal(file_id_of(&opened), file_id_of(&named));
}

/* Opens and locks the file. Returns the descriptor or a negative errno. */
static int open_locked(const char *path, struct err *err)
{
	char pid[16] = "";

	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_set(err, errno, "pid file %s: %s%s", path, strerror(errno),
			directory_remedy(errno));
	/* The lock belongs to the open file description, so a child of fork() still holds it. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (pread(fd, pid, sizeof(pid) - 1, 0) > 0)
		pid[strcspn(pid, "\n")] = '\0';
	close(fd);
	return err_set(err, EBUSY,
		"pid file %s: a daemon runs already (process %s): stop it or choose another "
		"directory with --pid-path",
		path, pid);
}

static int name_file(char ret_path[static PATH_MAX], const char *dir)
{
	int n = snprintf(ret_path, PATH_MAX, "%s/virtio-forwarder.pid", dir);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int pid_file_take(struct pid_file *file, const char *dir, struct err *err)
{
	file->fd = -1;
	if (name_file(file->path, dir) < 0)
		return err_set(err, ENAMETOOLONG, "--pid-path is too long: %s", dir);
	/* A daemon that ends removes the file, perhaps between our opening and locking it. */
	for (unsigned i = 0; i < TRIES; i++) {
		int fd = open_locked(file->path, err);
		if (fd < 0)
			return fd;
		if (is_there(fd, file->path)) {
			file->fd = fd;
			return 0;
		}
		close(fd);
	}
	return err_set(err, EBUSY, "pid file %s: others make and remove it", file->path);
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

bool pid_file_is_taken(const char *dir)
{
	char path[PATH_MAX];

	if (name_file(path, dir) < 0)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool taken = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return taken;
}
