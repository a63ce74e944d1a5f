/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

int host_netlink_open(int protocol, unsigned groups, const char *what, struct err *err)
{
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd, r;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	r = errno;
	if (fd >= 0)
		close(fd);
	return err_set(err, r, "cannot listen to the kernel's %s: %s", what, strerror(r));
}
