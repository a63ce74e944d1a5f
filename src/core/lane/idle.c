/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/lane/idle.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/guest/guest.h"
#include "core/vf/vf.h"

/*
 * Watches a descriptor. It may be watched already, and stays so; one that the guest shares stays
 * watched even after we have closed it.
 */
static void watch(int epoll_fd, int fd, const void *source)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = (void *)source};

	if (fd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int idle_init(struct idle *idle, struct err *err)
{
	const struct timespec none = {0};
	struct epoll_event event;

	idle->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	idle->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (idle->epoll_fd < 0 || idle->wake_fd < 0)
		return err_set(err, errno, "no descriptors to sleep by: %s", strerror(errno));
	watch(idle->epoll_fd, idle->wake_fd, idle);
	if (epoll_pwait2(idle->epoll_fd, &event, 1, &none, NULL) < 0)
		return err_set(err, errno,
			"epoll_pwait2(): %s; Linux 5.11 or later is needed, and in a container a "
			"seccomp profile that allows this call",
			strerror(errno));
	return 0;
}

void idle_fini(struct idle *idle)
{
	if (idle->epoll_fd >= 0)
		close(idle->epoll_fd);
	if (idle->wake_fd >= 0)
		close(idle->wake_fd);
}

void idle_wake(struct idle *idle)
{
	eventfd_write(idle->wake_fd, 1);
}

void idle_reset(struct idle *idle)
{
	int fresh = epoll_create1(EPOLL_CLOEXEC);
	eventfd_t calls;

	eventfd_read(idle->wake_fd, &calls);
	if (fresh < 0)
		return; /* old descriptors only wake in vain */
	watch(fresh, idle->wake_fd, idle);
	close(idle->epoll_fd);
	idle->epoll_fd = fresh;
}

bool idle_vf_to_vm_can_wake(const struct vf_to_vm *lane)
{
	return lane->backlog.waiting == 0 &&
	       (lane->lane.vf->interrupts || lane->lane.vf->n_sockets > 0);
}

/*
 * False if a ring has no kick eventfd. A guest may start one like that, which must be polled
 * (vhost-user, VRING_KICK).
 */
static bool is_kicked(const struct vm_to_vf *lane)
{
	struct guest_session *session = guest_session(lane->lane.guest);

	if (session == NULL || guest_session_paused(session))
		return true;
	for (uint32_t rings = vm_to_vf_rings(lane, session); rings != 0; rings &= rings - 1)
		if (session->rings[GUEST_TRANSMIT_RING(__builtin_ctz(rings))].kick_fd < 0)
			return false;
	return true;
}

bool idle_vm_to_vf_can_wake(const struct vm_to_vf *lane)
{
	const struct vf *vf = lane->lane.vf;

	if (!is_kicked(lane))
		return false;
	return vf == NULL || (lane->inbox.n == 0 && lane->lender.n_out == 0 && !lane->to_push &&
				     !vf->needs_polling);
}

void idle_vf_to_vm_arm(struct idle *idle, struct vf_to_vm *lane, bool on)
{
	const struct vf *vf = lane->lane.vf;

	lane->lane.armed = on;
	/*
	 * Which queue a socket belongs to is not certain, and the queues of some devices share one
	 * interrupt (ixgbe's VFs). So a descriptor stands for all slices of the device.
	 */
	for (unsigned i = 0; on && i < vf->n_sockets; i++)
		watch(idle->epoll_fd, vf->sockets[i], vf);
	if (!vf->interrupts)
		return;
	for (uint16_t q = lane->lane.slice; q < vf->n_queues; q += lane->lane.n_slices) {
		if (!on) {
			rte_eth_dev_rx_intr_disable(vf->port, q);
			continue;
		}
		watch(idle->epoll_fd, rte_eth_dev_rx_intr_ctl_q_get_fd(vf->port, q), vf);
		rte_eth_dev_rx_intr_enable(vf->port, q);
	}
}

void idle_vm_to_vf_arm(struct idle *idle, struct vm_to_vf *lane, bool on)
{
	struct guest_session *session = guest_session(lane->lane.guest);

	lane->lane.armed = on;
	if (session == NULL || guest_session_paused(session))
		return; /* all workers are woken when the session is resumed */
	uint32_t rings = vm_to_vf_rings(lane, session) | vm_to_vf_disabled_rings(lane, session);
	if (on)
		lane->polls_left = 0; /* the last look is for all of them */
	for (; rings != 0; rings &= rings - 1) {
		struct ring *ring = &session->rings[GUEST_TRANSMIT_RING(__builtin_ctz(rings))];
		if (on)
			watch(idle->epoll_fd, ring->kick_fd, lane);
		ring_ask_to_notify(ring, on);
	}
}

void idle_wait(struct idle *idle, unsigned max_us, struct idle_events *ret_events)
{
	struct timespec limit = {.tv_sec = max_us / 1000000, .tv_nsec = max_us % 1000000 * 1000};
	struct epoll_event events[IDLE_EVENTS_MAX];

	*ret_events = (struct idle_events){};
	int n = epoll_pwait2(idle->epoll_fd, events, IDLE_EVENTS_MAX, &limit, NULL);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == idle)
			ret_events->woken = true;
		else
			ret_events->sources[ret_events->n++] = events[i].data.ptr;
	}
}
