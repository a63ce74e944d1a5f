/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ipc_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/directory.h"
#include "base/log.h"
#include "base/unix_socket.h"

struct ipc_listener {
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct file_id file;
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
		r = directory_make(directory, DIRECTORY_OF_OWNER, -1, -1, err);
		if (r < 0)
			return err_prefix(err, r, "socket %s", path);
		*c = kept;
		if (kept == '\0')
			return 0;
	}
}

int ipc_listener_new(struct ipc_listener **ret_listener, const char *path, struct err *err)
{
	struct ipc_listener *listener;
	struct err reason;
	int r;

	if (strlen(path) >= sizeof(listener->path))
		return err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
			sizeof(listener->path) - 1);
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return err_set(err, ENOMEM, "out of memory");
	strcpy(listener->path, path);

	r = make_parents(path, err);
	if (r >= 0 && unix_socket_check_directory(path, &reason) < 0)
		log_warning("endpoint %s", reason.text);
	if (r >= 0)
		r = listener->fd = unix_socket_bind(path, -1, -1, &listener->file, err);
	if (r < 0) {
		free(listener);
		return r;
	}
	if (listen(listener->fd, SOMAXCONN) < 0) {
		r = err_set(err, errno, "cannot listen on %s: %s", path, strerror(errno));
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
	if (!listener)
		return NULL;
	unix_socket_remove(listener->path, &listener->file);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener);
	return NULL;
}
