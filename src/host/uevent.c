/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "host/netlink.h"

#define KERNEL_GROUP 1        /* sent by the kernel itself; group 2 is udev */
#define MESSAGE_SIZE 8192     /* the kernel sends up to 2 KiB of variables and a path */
#define MESSAGES_AT_ONCE 1024 /* let other event sources have a turn in a storm */

int host_uevent_open(struct err *err)
{
	return host_netlink_open(NETLINK_KOBJECT_UEVENT, KERNEL_GROUP, "device events", err);
}

bool host_uevent_parse(const char *message, size_t length)
{
	static const char *const actions[] = {
		"add@", "bind@", "change@", "move@", "remove@", "unbind@"};
	const char *end = message + length, *field;
	bool known = false;

	if (length == 0 || end[-1] != '\0')
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
		known = known || !strncmp(message, actions[i], strlen(actions[i]));
	for (field = message; known && field < end; field += strlen(field) + 1)
		if (!strcmp(field, "SUBSYSTEM=net") || !strcmp(field, "SUBSYSTEM=pci"))
			return true;
	return false;
}

bool host_uevent_read(int fd)
{
	char message[MESSAGE_SIZE];
	struct sockaddr_nl from;
	bool found = false;
	ssize_t n;

	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		socklen_t size = sizeof(from);

		n = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);
		if (n < 0 && errno == ENOBUFS)
			found = true;
		else if (n < 0)
			break;
		else if (from.nl_pid == 0)
			found = host_uevent_parse(message, (size_t)n) || found;
	}
	return found;
}
