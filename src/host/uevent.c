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

int host_uevent_parse(const char *message, size_t length)
{
	static const struct {
		const char *action;
		int what;
	} actions[] = {
		{"add@", HOST_UEVENT_CAME},
		{"bind@", HOST_UEVENT_CAME},
		{"change@", HOST_UEVENT_CAME},
		{"move@", HOST_UEVENT_CAME},
		{"remove@", HOST_UEVENT_LEFT},
		{"unbind@", HOST_UEVENT_LEFT},
	};
	const char *end = message + length, *field;
	int what = 0;

	if (length == 0 || end[-1] != '\0')
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strncmp(message, actions[i].action, strlen(actions[i].action)))
			what = actions[i].what;
	for (field = message; what && field < end; field += strlen(field) + 1)
		if (!strcmp(field, "SUBSYSTEM=net") || !strcmp(field, "SUBSYSTEM=pci"))
			return what;
	return 0;
}

int host_uevent_read(int fd)
{
	char message[MESSAGE_SIZE];
	struct sockaddr_nl from;
	int what = 0;
	ssize_t n;

	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		socklen_t size = sizeof(from);

		n = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);
		if (n < 0 && errno == ENOBUFS)
			what = HOST_UEVENT_CAME | HOST_UEVENT_LEFT;
		else if (n < 0)
			break;
		else if (from.nl_pid == 0)
			what |= host_uevent_parse(message, (size_t)n);
	}
	return what;
}
