/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/link_events.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "host/netlink.h"

#define READ_SIZE 32768       /* the largest datagram that the kernel sends */
#define MESSAGES_AT_ONCE 1024 /* let other event sources have a turn in a storm */

int host_link_events_open(struct err *err)
{
	return host_netlink_open(NETLINK_ROUTE, RTMGRP_LINK, "link events", err);
}

static bool says_carrier(const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);

	return message->nlmsg_type == RTM_NEWLINK &&
	       message->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)) && link->ifi_flags & IFF_RUNNING;
}

/* NLMSG_OK(), with which clang finds fault for comparing numbers with and without a sign. */
static bool is_whole(const struct nlmsghdr *message, int left)
{
	return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
	       message->nlmsg_len <= (unsigned)left;
}

void host_link_events_parse(const void *messages, size_t length, host_link_up *up, void *userdata)
{
	const struct nlmsghdr *message;
	int left = (int)length; /* below 0 behind a last message that is not padded */

	for (message = messages; is_whole(message, left); message = NLMSG_NEXT(message, left))
		if (says_carrier(message))
			up(userdata, ((const struct ifinfomsg *)NLMSG_DATA(message))->ifi_index);
}

bool host_link_events_read(int fd, host_link_up *up, void *userdata)
{
	char messages[READ_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from;
	bool dropped = false;

	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(
			fd, messages, sizeof(messages), 0, (struct sockaddr *)&from, &size);

		if (n < 0 && errno == ENOBUFS)
			dropped = true;
		else if (n < 0)
			break;
		else if (from.nl_pid == 0)
			host_link_events_parse(messages, (size_t)n, up, userdata);
	}
	return dropped;
}
