/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices' interrupts and the kernel's calls are made up here. */
#include "core/lane/idle.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/vf/vf.h"

#define QUEUES 2

static int interrupt;   /* eventfd */
static bool old_kernel; /* without epoll_pwait2() */

__typeof__(rte_eth_dev_rx_intr_ctl_q_get_fd) __wrap_rte_eth_dev_rx_intr_ctl_q_get_fd;
__typeof__(rte_eth_dev_rx_intr_enable) __wrap_rte_eth_dev_rx_intr_enable;
__typeof__(epoll_pwait2) __real_epoll_pwait2, __wrap_epoll_pwait2;

int __wrap_rte_eth_dev_rx_intr_ctl_q_get_fd(uint16_t port, uint16_t queue)
{
	return interrupt;
}

int __wrap_rte_eth_dev_rx_intr_enable(uint16_t port, uint16_t queue)
{
	return 0;
}

int __wrap_epoll_pwait2(int epoll_fd, struct epoll_event *events, int n,
	const struct timespec *limit, const sigset_t *signals)
{
	if (!old_kernel)
		return __real_epoll_pwait2(epoll_fd, events, n, limit, signals);
	errno = ENOSYS;
	return -1;
}

/* All queues of the device have the same one, and it does not tell whose packet has come. */
static void shared_interrupt_stands_for_the_device(void **state)
{
	struct vf vf = {.n_queues = QUEUES, .interrupts = true};
	struct vf_to_vm *slices = test_calloc(QUEUES, sizeof(*slices));
	struct idle_events events;
	struct idle idle;

	interrupt = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(idle_init(&idle, NULL), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		slices[i].lane = (struct lane){.vf = &vf, .slice = i, .n_slices = QUEUES};
		idle_vf_to_vm_arm(&idle, &slices[i], true);
	}
	idle_wait(&idle, 0, &events);
	assert_int_equal(events.n, 0);
	assert_int_equal(eventfd_write(interrupt, 1), 0);
	idle_wait(&idle, 0, &events);
	assert_int_equal(events.n, 1);
	assert_ptr_equal(events.sources[0], &vf);
	idle_fini(&idle);
	close(interrupt);
	test_free(slices);
}

/* Otherwise nothing that a source says would ever be heard. */
static void old_kernel_is_refused(void **state)
{
	struct idle idle;
	struct err err;

	old_kernel = true;
	assert_int_equal(idle_init(&idle, &err), -ENOSYS);
	assert_non_null(strstr(err.text, "Linux 5.11"));
	idle_fini(&idle);
	old_kernel = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_interrupt_stands_for_the_device),
		cmocka_unit_test(old_kernel_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
