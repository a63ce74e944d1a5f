/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "host/link_events.h"

#define HEARD_MAX 8

struct message {
	struct nlmsghdr header;
	struct ifinfomsg link;
};

struct heard {
	unsigned n, indexes[HEARD_MAX];
};

static void hear(void *userdata, unsigned index)
{
	struct heard *heard = userdata;

	assert_true(heard->n < HEARD_MAX);
	heard->indexes[heard->n++] = index;
}

static struct message message(unsigned type, int index, unsigned flags, unsigned change)
{
	return (struct message){
		.header = {.nlmsg_len = sizeof(struct message), .nlmsg_type = type},
		.link = {.ifi_index = index, .ifi_flags = flags, .ifi_change = change},
	};
}

static void only_what_has_a_carrier_is_heard(void **state)
{
	const struct message messages[] = {
		message(RTM_NEWLINK, 1, IFF_UP, IFF_UP),
		message(RTM_NEWLINK, 2, IFF_UP | IFF_RUNNING,
			0),                         /* as the kernel reports a carrier */
		message(RTM_NEWLINK, 3, 0, IFF_UP), /* set down */
		message(RTM_DELLINK, 4, IFF_UP | IFF_RUNNING, 0),
		message(RTM_NEWLINK, 5, IFF_UP | IFF_RUNNING, ~0U), /* created */
	};
	struct heard heard = {0};

	host_link_events_parse(messages, sizeof(messages), hear, &heard);
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.indexes[0], 2);
	assert_int_equal(heard.indexes[1], 5);
}

static void what_is_cut_short_is_left_alone(void **state)
{
	struct message cut = message(RTM_NEWLINK, 1, IFF_RUNNING, 0);
	struct heard heard = {0};

	for (size_t length = 0; length < sizeof(cut); length++)
		host_link_events_parse(&cut, length, hear, &heard);
	cut.header.nlmsg_len = sizeof(cut.header); /* shorter than its type */
	host_link_events_parse(&cut, sizeof(cut), hear, &heard);
	assert_int_equal(heard.n, 0);
}

/* A buffer of exactly that length, so that ASan sees any read behind it. */
static void a_last_message_without_padding(void **state)
{
	const struct nlmsghdr header = {.nlmsg_len = sizeof(header) + 1, .nlmsg_type = NLMSG_NOOP};
	char *messages = malloc(header.nlmsg_len);
	struct heard heard = {0};

	assert_non_null(messages);
	memset(messages, 0, header.nlmsg_len);
	memcpy(messages, &header, sizeof(header));
	host_link_events_parse(messages, header.nlmsg_len, hear, &heard);
	assert_int_equal(heard.n, 0);
	free(messages);
}

static void the_socket_does_not_block(void **state)
{
	struct heard heard = {0};
	struct err err = {""};
	int fd = host_link_events_open(&err);

	if (fd < 0)
		fail_msg("%s", err.text);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_false(host_link_events_read(fd, hear, &heard));
	close(fd);
}

/* In a network namespace of its own, whose loopback is set up and down. */
static void set_loopback(int fd, short flags)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = flags};

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

static void ignore(void *userdata, unsigned index)
{
}

static void what_the_kernel_drops_is_told(void **state)
{
	const int least = 0;
	struct err err = {""};

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	int fd = host_link_events_open(&err), control = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
	for (unsigned i = 0; i < 64; i++)
		set_loopback(control, i % 2 == 0 ? IFF_UP : 0);
	assert_true(host_link_events_read(fd, ignore, NULL));
	assert_false(host_link_events_read(fd, ignore, NULL));
	close(control);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_has_a_carrier_is_heard),
		cmocka_unit_test(what_is_cut_short_is_left_alone),
		cmocka_unit_test(a_last_message_without_padding),
		cmocka_unit_test(the_socket_does_not_block),
		cmocka_unit_test(what_the_kernel_drops_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
