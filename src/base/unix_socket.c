/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/directory.h"
#include "base/fd_link.h"

#define MODE 0660

int unix_socket_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	int r = -errno;
	cleanup_closep(&fd);
	return r;
}

int unix_socket_probe(const char *path)
{
	_cleanup_close_ int fd = unix_socket_connect(path);

	return fd >= 0 || fd == -EAGAIN ? 0 : fd;
}

/* Frees the path, unless it is in use. */
static int claim(const char *path, struct err *err)
{
	const size_t size = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	struct stat st;

	if (strlen(path) >= size)
		return err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
			size - 1);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST,
			"%s exists and is not a socket: remove it or choose another path", path);

	int r = unix_socket_probe(path);
	if (r == 0)
		return err_set(err, EADDRINUSE,
			"%s is in use: another process listens on it; stop it or choose another "
			"path",
			path);
	if (r != -ECONNREFUSED)
		return err_set(err, -r, "%s: %s", path, strerror(-r));
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(
			err, errno, "cannot remove the stale socket %s: %s", path, strerror(errno));
	return 0;
}

/*
 * Sets mode and owner of the file that bind() has made. By a descriptor: the name may lead
 * elsewhere by now.
 */
static int give(const char *path, uid_t uid, gid_t gid, struct file_id *ret_file, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
		return err_set(err, EPERM,
			"%s: somebody has put another file in place of the new socket: let only "
			"the daemon write to the directory",
			path);
	*ret_file = file_id_of(&st);
	if (fd_set_access(fd, MODE, uid, gid) == 0)
		return 0;
	int r = err_set(
		err, errno, "%s: its mode and owner cannot be set: %s", path, strerror(errno));
	unix_socket_remove(path, ret_file);
	return r;
}

int unix_socket_bind(
	const char *path, uid_t uid, gid_t gid, struct file_id *ret_file, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct file_id file;

	int r = claim(path, err);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, errno, "cannot open a socket: %s", strerror(errno));
	strcpy(addr.sun_path, path);
	/* bind() makes the file with this mode minus the umask, so never with more than it. */
	if (fchmod(fd, MODE) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = err_set(err, errno, "cannot bind %s: %s%s", path, strerror(errno),
			directory_remedy(errno));
	else
		r = give(path, uid, gid, &file, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_file = file;
	return fd;
}

void unix_socket_remove(const char *path, const struct file_id *file)
{
	struct stat st;

	if (lstat(path, &st) == 0 && file_id_equal(file_id_of(&st), *file))
		unlink(path);
}

int unix_socket_check_directory(const char *path, struct err *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	int r = directory_check_owner(dirname(copy), err);
	return r < 0 ? err_prefix(err, r, "%s", path) : 0;
}
