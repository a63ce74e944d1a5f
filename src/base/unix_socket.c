/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int unix_socket_probe(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	/* EAGAIN: somebody listens, and its queue is full. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN)
		return 0;
	return -errno;
}

int unix_socket_claim(const char *path, struct err *err)
{
	const size_t size = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	struct stat st;

	if (strlen(path) >= size)
		return err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
			size - 1);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is not a socket: remove it", path);

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
