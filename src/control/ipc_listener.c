/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ipc_listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/directory.h"
#include "base/unix_socket.h"

#define SOCKET_MODE 0660
#define DIRECTORY_MODE 0755

struct ipc_listener {
	int fd;
	bool bound;
	struct sockaddr_un addr;
	dev_t device; /* of the file that we created */
	ino_t inode;
};

/* Creates the directories above the socket. */
static int make_parents(const char *path, struct err *err)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *last_slash;

	strcpy(directory, path);
	last_slash = strrchr(directory, '/');
	if (last_slash == directory)
		return 0;
	*last_slash = '\0';
	for (char *c = directory + 1;; c++) {
		char kept = *c;
		int r;

		if (kept != '/' && kept != '\0')
			continue;
		*c = '\0';
		r = directory_make(directory, DIRECTORY_MODE, err);
		if (r < 0)
			return r;
		*c = kept;
		if (kept == '\0')
			return 0;
	}
}

static int open_socket(struct ipc_listener *listener, struct err *err)
{
	const char *path = listener->addr.sun_path;
	struct stat st;

	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return err_set(err, errno, "cannot open a socket: %s", strerror(errno));
	/*
	 * bind() creates the file with this mode minus the umask; chmod() then sets the whole mode.
	 */
	if (fchmod(listener->fd, SOCKET_MODE) < 0 ||
		bind(listener->fd, (struct sockaddr *)&listener->addr, sizeof(listener->addr)) < 0)
		return err_set(err, errno, "cannot bind %s: %s", path, strerror(errno));
	listener->bound = true;
	if (lstat(path, &st) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	if (chmod(path, SOCKET_MODE) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (listen(listener->fd, SOMAXCONN) < 0)
		return err_set(err, errno, "cannot listen on %s: %s", path, strerror(errno));
	return 0;
}

int ipc_listener_new(struct ipc_listener **ret_listener, const char *path, struct err *err)
{
	struct ipc_listener *listener;
	int r;

	if (strlen(path) >= sizeof(listener->addr.sun_path))
		return err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
			sizeof(listener->addr.sun_path) - 1);
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return err_set(err, ENOMEM, "out of memory");
	listener->fd = -1;
	listener->addr.sun_family = AF_UNIX;
	strcpy(listener->addr.sun_path, path);

	r = make_parents(path, err);
	if (r >= 0)
		r = unix_socket_claim(path, err);
	if (r >= 0)
		r = open_socket(listener, err);
	if (r < 0) {
		ipc_listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

int ipc_listener_fd(const struct ipc_listener *listener)
{
	return listener->fd;
}

void ipc_listener_give_fd(struct ipc_listener *listener)
{
	listener->fd = -1;
}

struct ipc_listener *ipc_listener_free(struct ipc_listener *listener)
{
	struct stat st;

	if (!listener)
		return NULL;
	if (listener->bound && lstat(listener->addr.sun_path, &st) == 0 &&
		st.st_dev == listener->device && st.st_ino == listener->inode)
		unlink(listener->addr.sun_path);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener);
	return NULL;
}
