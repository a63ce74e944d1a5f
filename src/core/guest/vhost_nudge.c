/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/vhost_nudge.h"

#include <rte_vhost.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct rte_vhost_device_ops no_ops;

/* Makes the library connect to `path` and let go again. */
static void connect_library(const char *path)
{
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) !=
		0)
		return;
	if (rte_vhost_driver_callback_register(path, &no_ops) == 0)
		rte_vhost_driver_start(path);
	rte_vhost_driver_unregister(path);
}

void vhost_nudge(const char *dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/nudge", dir);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		if (listen(fd, 1) == 0)
			connect_library(addr.sun_path);
		unlink(addr.sun_path);
	}
	close(fd);
}
