/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/port_events.h"

#include <errno.h>
#include <pthread.h>
#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_timer.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/limits.h"
#include "base/log.h"

/* Room for an event of each kind for each possible device: the same event is not queued twice. */
#define EVENTS_MAX (2 * MEMBERS_MAX)

static const enum rte_eth_event_type port_event_types[] = {
	RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_LSC};

struct port_events {
	int fd; /* eventfd: written by the interrupt thread, read by the control thread */
	pthread_mutex_t mutex; /* protects what follows; held only for moments */
	unsigned n;
	struct port_event queue[EVENTS_MAX];
};

static bool is_queued(const struct port_events *events, enum port_event_kind kind, const char *name)
{
	for (unsigned i = 0; i < events->n; i++)
		if (events->queue[i].kind == kind && strcmp(events->queue[i].device, name) == 0)
			return true;
	return false;
}

static void wake(void *userdata)
{
	struct port_events *events = userdata;

	eventfd_write(events->fd, 1);
}

/*
 * Any thread on which DPDK reports events. A device cannot be closed while its callback still runs,
 * so the control thread is woken by an alarm: DPDK runs it on its interrupt thread, that is, after
 * a callback there. iavf's driver has a thread of its own, which may still be here when the alarm
 * runs, but only for an instant: to close the device takes grace periods and a stop.
 */
static void note(
	struct port_events *events, enum port_event_kind kind, const char *name, const char *why)
{
	pthread_mutex_lock(&events->mutex);
	if (events->n < EVENTS_MAX && !is_queued(events, kind, name)) {
		struct port_event *event = &events->queue[events->n++];
		event->kind = kind;
		event->why = why;
		snprintf(event->device, sizeof(event->device), "%s", name);
	}
	pthread_mutex_unlock(&events->mutex);
	if (rte_eal_alarm_set(1, wake, events) != 0)
		wake(events);
}

static void on_device_event(const char *name, enum rte_dev_event_type type, void *userdata)
{
	if (type == RTE_DEV_EVENT_REMOVE)
		note(userdata, PORT_EVENT_LOST, name, "the host wants it back");
}

static int on_port_event(uint16_t port, enum rte_eth_event_type type, void *userdata, void *unused)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	if (rte_eth_dev_get_name_by_port(port, name) != 0)
		return 0;
	if (type == RTE_ETH_EVENT_INTR_LSC)
		note(userdata, PORT_EVENT_LINK, name, NULL);
	else
		note(userdata, PORT_EVENT_LOST, name,
			type == RTE_ETH_EVENT_INTR_RESET
				? "its PF has reset it, or it has stopped answering"
				: "its driver has lost it");
	return 0;
}

int port_events_open(struct port_events **ret_events, struct err *err)
{
	struct port_events *events = calloc(1, sizeof(*events));

	if (events == NULL)
		return err_set(err, ENOMEM, "out of memory");
	pthread_mutex_init(&events->mutex, NULL);
	events->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = events->fd >= 0 ? rte_dev_event_callback_register(NULL, on_device_event, events)
	                        : -errno;
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(port_event_types); i++)
		r = rte_eth_dev_callback_register(
			RTE_ETH_ALL, port_event_types[i], on_port_event, events);
	if (r != 0) {
		port_events_close(events);
		return err_set(err, -r, "cannot listen to DPDK's device events: %s", strerror(-r));
	}
	*ret_events = events;
	return 0;
}

struct port_events *port_events_close(struct port_events *events)
{
	if (events == NULL)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(port_event_types); i++)
		while (rte_eth_dev_callback_unregister(
			       RTE_ETH_ALL, port_event_types[i], on_port_event, events) == -EAGAIN)
			sched_yield();
	while (rte_dev_event_callback_unregister(NULL, on_device_event, events) == -EAGAIN)
		sched_yield();
	rte_eal_alarm_cancel(wake, events);
	if (events->fd >= 0)
		close(events->fd);
	pthread_mutex_destroy(&events->mutex);
	free(events);
	return NULL;
}

void port_events_run_timers(void)
{
	rte_timer_manage(); /* fails, which means nothing, as long as no driver has a timer */
}

int port_events_fd(const struct port_events *events)
{
	return events->fd;
}

bool port_events_next(struct port_events *events, struct port_event *ret_event)
{
	eventfd_t count;
	bool found;

	pthread_mutex_lock(&events->mutex);
	found = events->n > 0;
	if (found) {
		*ret_event = events->queue[0];
		memmove(events->queue, events->queue + 1, --events->n * sizeof(events->queue[0]));
	} else {
		eventfd_read(events->fd, &count);
	}
	pthread_mutex_unlock(&events->mutex);
	return found;
}
