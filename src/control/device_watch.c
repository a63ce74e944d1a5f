/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/device_watch.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/attempt.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/relay_internal.h"
#include "control/settle.h"
#include "control/turn.h"
#include "core/vf/port.h"
#include "core/vf/port_events.h"
#include "host/bind.h"
#include "host/link_events.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/uevent.h"
#include "host/usable.h"

/*
 * How many checks, one per second, a doubted VF gets to show life, after a first one that records
 * how much it has received so far. It is reopened at the 1st, 2nd, 4th, 8th ... of them: the first
 * attempts may be in vain if the PF is slow.
 */
#define DOUBT_CHECKS 32

struct device_watch {
	struct relay *relays;
	const struct config *config;
	struct port_events *port_events;
	sd_event_source *port_source;
	sd_event_source *uevents;    /* NULL if the kernel's socket could not be opened */
	sd_event_source *links;      /* likewise */
	sd_event_source *pass_timer; /* one-shot: checks the relays and resumes what it can */
	uint64_t asked_us;           /* when the pass that is due was first asked for; 0: none is */
	unsigned next; /* the member to be checked next, see on_pass(); 0: no pass is under way */
};

/* Declares both, and goes through the members of all relays. */
#define FOR_EACH_MEMBER(watch, relay, m)                                                           \
	for (struct relay *relay = (watch)->relays; relay < (watch)->relays + RELAYS_MAX; relay++) \
		for (unsigned m = 0; m < relay->device.n_members; m++)

/*
 * True if we may bind the function: it has been created anew or was never opened, and the operator
 * listed it.
 */
static bool is_ours_to_bind(
	const struct device_watch *watch, const struct relay *relay, unsigned member)
{
	const struct pci_addr *addr = &relay->device.members[member].pci;

	return watch->config->bind_vfio_pci != NULL &&
	       host_pci_incarnation(SYSFS_ROOT, addr) != relay->members[member].incarnation &&
	       host_bind_list_has(SYSFS_ROOT, watch->config->bind_vfio_pci, addr);
}

/*
 * Makes a PCI function ready to be opened. Returns 1, a negative errno, or 0 if somebody else has
 * to do something first: err says what, and stays empty if there is no such function.
 */
static int prepare(const struct device_watch *watch, const struct relay *relay, unsigned member,
	struct err *err)
{
	const struct pci_addr *addr = &relay->device.members[member].pci;
	const struct host_use use = {0};
	char driver[HOST_DRIVER_SIZE] = "";

	if (host_pci_driver(SYSFS_ROOT, addr, driver) == -ENODEV)
		return 0;
	if (host_driver_is_userspace(driver))
		return 1;
	if (is_ours_to_bind(watch, relay, member)) {
		int r = host_bind_device(SYSFS_ROOT, addr, HOST_BIND_DRIVER, err);
		return r < 0 ? err_prefix(err, r, "relay %u", relay->id) : 1;
	}
	int r = host_pci_usable(SYSFS_ROOT, "/dev", addr, &use, err);
	return r < 0 ? err_prefix(err, 0, "relay %u", relay->id) : 1;
}

/* Logs each reason once. */
static void log_reason(struct relay *relay, unsigned m, const struct err *err, const char *what_now)
{
	struct err *logged = &relay->members[m].watch.logged;

	if (err->text[0] != '\0' && strcmp(logged->text, err->text) != 0)
		log_relay_warning(relay, "%s%s", err->text, what_now);
	*logged = *err;
}

/*
 * Counts a check of a member that is away. Returns true if it is to be tried now: less and less
 * often, since an attempt may take seconds, but at once if the device has changed.
 */
static bool count_try(const struct device_id *id, struct member_watch *member)
{
	if (host_device_has_changed(SYSFS_ROOT, id, &member->tried))
		member->tries = 0;
	return attempt_is_due(member->tries++);
}

/* Returns true if another check soon makes sense. */
static bool try_resume(struct device_watch *watch, struct relay *relay, unsigned m)
{
	const struct device_id *id = &relay->device.members[m];
	struct member_watch *member = &relay->members[m].watch;
	struct err err = {""};

	if (!count_try(id, member))
		return true;
	int r = id->is_pci ? prepare(watch, relay, m, &err) : 1;
	if (r == 0) {
		log_reason(relay, m, &err, "");
		member->tries = 0;
		return false;
	}
	if (r > 0)
		r = relay_resume(relay, m, &err);
	if (r < 0) {
		log_reason(relay, m, &err, "; trying again");
		return true;
	}
	*member = (struct member_watch){
		.doubt_check = member->doubt_check, .received = port_received(id->name)};
	return false;
}

/*
 * During a pass over all relays, another one follows it: restarting the pass at every event could
 * keep it from ever reaching its end.
 */
void device_watch_ask(struct device_watch *watch)
{
	if (watch->asked_us == 0)
		watch->asked_us = clock_monotonic_ns() / 1000;
	if (watch->next == 0)
		settle_timer(watch->pass_timer, watch->asked_us);
}

/*
 * Loses a member whose function no longer exists: unlike VFIO, the kernel's UIO drivers do not ask
 * for a device before it goes.
 */
static void lose_the_gone(struct relay *relay, unsigned m)
{
	const struct device_id *id = &relay->device.members[m];

	if (id->is_pci &&
		host_pci_incarnation(SYSFS_ROOT, &id->pci) != relay->members[m].incarnation)
		relay_lose(relay, m, "it was removed from the host");
}

/*
 * Loses a member that is in doubt and has received nothing since, if it is time for another
 * attempt.
 */
static void lose_the_dead(struct relay *relay, unsigned m)
{
	struct member_watch *member = &relay->members[m].watch;
	const struct device_id *id = &relay->device.members[m];

	if (member->doubt_check == 0 || relay->members[m].away)
		return;
	uint64_t received = port_received(id->name);
	unsigned check = member->doubt_check++ - 1;
	if (check == 0) {
		member->received = received;
		return;
	}
	if (received != member->received || check > DOUBT_CHECKS) {
		member->doubt_check = 0;
		return;
	}
	if (!attempt_is_due(check))
		return;
	relay_lose(relay, m, "it has received nothing since the link of its PF came up");
}

/* Checks a member, if the relay has so many. Returns true if another check of it makes sense. */
static bool check_member(struct device_watch *watch, struct relay *relay, unsigned m)
{
	bool again = false;

	if (m >= relay->device.n_members)
		return false;
	lose_the_gone(relay, m);
	lose_the_dead(relay, m);
	if (relay->members[m].away)
		again = try_resume(watch, relay, m);
	return again || relay->members[m].watch.doubt_check > 0;
}

static int on_pass(sd_event_source *source, uint64_t time_us, void *userdata)
{
	const uint64_t began_ns = clock_monotonic_ns();
	struct device_watch *watch = userdata;

	if (watch->next == 0)
		watch->asked_us = 0;
	do {
		const unsigned i = watch->next;
		watch->next = (i + 1) % MEMBERS_MAX;
		if (check_member(watch, &watch->relays[i / BOND_MEMBERS_MAX], i % BOND_MEMBERS_MAX))
			device_watch_ask(watch);
	} while (watch->next > 0 && !turn_is_over(began_ns));
	if (watch->next > 0) {
		turn_set_timer(watch->pass_timer, 0);
	} else if (watch->asked_us != 0) {
		watch->asked_us = 0; /* it is asked for now, not in the pass */
		device_watch_ask(watch);
	}
	return 0;
}

/* Loses them at once. If they are too many for one turn, the others wait for the pass. */
static void lose_all_gone(struct device_watch *watch)
{
	const uint64_t began_ns = clock_monotonic_ns();

	FOR_EACH_MEMBER (watch, relay, m) {
		lose_the_gone(relay, m);
		if (turn_is_over(began_ns))
			return;
	}
}

static int on_uevent(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct device_watch *watch = userdata;

	if (host_uevent_read(fd)) {
		lose_all_gone(watch);
		device_watch_ask(watch);
	}
	return 0;
}

static void take_port_event(
	struct device_watch *watch, struct relay *relay, unsigned m, const struct port_event *event)
{
	char link[128];

	if (event->kind == PORT_EVENT_LOST) {
		relay_lose(relay, m, event->why);
		device_watch_ask(watch); /* it may only have been reset */
		return;
	}
	relay_follow_links(relay);
	port_describe_link(event->device, link, sizeof(link));
	log_relay_info(relay, "relay %u: device %s: %s", relay->id, event->device, link);
}

static int on_port_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	const uint64_t began_ns = clock_monotonic_ns();
	struct device_watch *watch = userdata;
	struct port_event event;

	while (!turn_is_over(began_ns) && port_events_next(watch->port_events, &event))
		FOR_EACH_MEMBER (watch, relay, m)
			if (strcmp(relay->device.members[m].name, event.device) == 0)
				take_port_event(watch, relay, m, &event);
	return 0;
}

/* True for a VF of this PF (NULL: of any) that we drive ourselves, not the kernel. */
static bool is_driven_vf_of(const struct device_id *id, const struct pci_addr *pf)
{
	char driver[HOST_DRIVER_SIZE];
	struct pci_addr its_pf;

	return id->is_pci && host_pci_physfn(SYSFS_ROOT, &id->pci, &its_pf) == 0 &&
	       (pf == NULL || pci_addr_equal(&its_pf, pf)) &&
	       host_pci_driver(SYSFS_ROOT, &id->pci, driver) == 0 &&
	       host_driver_kind(driver) != HOST_DRIVER_BIFURCATED;
}

/*
 * The link of a PF (NULL: of any) has come up: it had been down, or the PF has been set up or reset
 * (for instance by a change of its MTU), and some drivers (igb's) then reset the VFs too. A VF
 * opened before that no longer works, possibly without anybody being told. So the VF is doubted:
 * the next checks show whether it is dead.
 */
static void doubt_vfs(struct device_watch *watch, const struct pci_addr *pf)
{
	FOR_EACH_MEMBER (watch, relay, m) {
		const struct device_id *id = &relay->device.members[m];
		struct relay_member *member = &relay->members[m];
		if (!is_driven_vf_of(id, pf))
			continue;
		unsigned ups = host_vf_link_ups(SYSFS_ROOT, &id->pci);
		if (ups == member->link_ups)
			continue;
		member->link_ups = ups;
		member->watch.doubt_check = 1;
		member->watch.tries = 0;
		device_watch_ask(watch);
	}
}

static void on_link_up(void *userdata, unsigned index)
{
	char name[IFNAMSIZ];
	struct pci_addr pf;

	if (if_indextoname(index, name) != NULL &&
		sysfs_link_pci(&pf, SYSFS_ROOT "/class/net/%s/device", name) == 0)
		doubt_vfs(userdata, &pf);
}

static int on_link_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	if (host_link_events_read(fd, on_link_up, userdata))
		doubt_vfs(userdata, NULL);
	return 0;
}

/* Without the kernel's events a lost device is still noticed in time, but not its return. */
static int watch_kernel(struct device_watch *watch, sd_event_source **ret_source, int fd,
	sd_event_io_handler_t handler, sd_event *event, struct err *err)
{
	if (fd < 0) {
		log_warning("%s; a VF that was taken away or reset will not be noticed when it is "
			    "back",
			err->text);
		return 0;
	}
	int r = sd_event_add_io(event, ret_source, fd, EPOLLIN, handler, watch);
	if (r < 0) {
		close(fd);
		return err_set(err, -r, "event loop: %s", strerror(-r));
	}
	return sd_event_source_set_io_fd_own(*ret_source, true);
}

int device_watch_new(struct device_watch **ret_watch, struct relay *relays,
	const struct config *config, sd_event *event, struct err *err)
{
	struct device_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return err_set(err, ENOMEM, "out of memory");
	watch->relays = relays;
	watch->config = config;
	int r = port_events_open(&watch->port_events, err);
	if (r == 0)
		r = watch_kernel(
			watch, &watch->uevents, host_uevent_open(err), on_uevent, event, err);
	if (r >= 0)
		r = watch_kernel(watch, &watch->links, host_link_events_open(err), on_link_event,
			event, err);
	if (r >= 0) {
		r = sd_event_add_io(event, &watch->port_source, port_events_fd(watch->port_events),
			EPOLLIN, on_port_event, watch);
		if (r >= 0)
			r = sd_event_add_time_relative(event, &watch->pass_timer, CLOCK_MONOTONIC,
				SETTLE_US, TURN_TIMER_ACCURACY_US, on_pass, watch);
		if (r >= 0)
			r = sd_event_source_set_enabled(watch->pass_timer, SD_EVENT_OFF);
		if (r < 0)
			err_set(err, -r, "event loop: %s", strerror(-r));
	}
	if (r < 0) {
		device_watch_free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

struct device_watch *device_watch_free(struct device_watch *watch)
{
	if (watch == NULL)
		return NULL;
	sd_event_source_disable_unref(watch->pass_timer);
	sd_event_source_disable_unref(watch->uevents);
	sd_event_source_disable_unref(watch->links);
	sd_event_source_disable_unref(watch->port_source);
	port_events_close(watch->port_events);
	free(watch);
	return NULL;
}
