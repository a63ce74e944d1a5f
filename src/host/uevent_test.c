/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/uevent.h"

static void messages_are_read(void **state)
{
	const char net[] =
		"add@/devices/virtual/net/eth5\0ACTION=add\0SUBSYSTEM=net\0INTERFACE=eth5";
	const char pci[] = "bind@/devices/pci0000:00/0000:05:08.1\0ACTION=bind\0SUBSYSTEM=pci";
	const char queue[] =
		"add@/devices/virtual/net/eth5/queues/rx-0\0ACTION=add\0SUBSYSTEM=queues";
	const char gone[] = "remove@/devices/virtual/net/eth5\0ACTION=remove\0SUBSYSTEM=net";

	assert_true(host_uevent_parse(net, sizeof(net)));
	assert_true(host_uevent_parse(pci, sizeof(pci)));
	assert_true(host_uevent_parse(gone, sizeof(gone)));
	assert_false(host_uevent_parse(queue, sizeof(queue)));
	assert_false(host_uevent_parse(net, 0));
	assert_false(host_uevent_parse(net, sizeof(net) - 1));
}

static void the_socket_does_not_block(void **state)
{
	struct err err = {""};
	int fd = host_uevent_open(&err);

	if (fd < 0)
		fail_msg("%s", err.text);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	host_uevent_read(fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_read),
		cmocka_unit_test(the_socket_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
