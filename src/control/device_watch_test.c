/* SPDX-License-Identifier: BSD-3-Clause */
/* The relays, the kernel's and DPDK's events and the PCI functions are faked here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/device_watch.h"
#include "control/loop_fixture.h"
#include "control/turn.h"
#include "core/vf/port.h"
#include "core/vf/port_events.h"
#include "host/pci.h"
#include "host/sysfs_fixture.h"
#include "host/uevent.h"

#define SECOND_NS 1000000000ULL

struct bed {
	sd_event *event;
	struct device_watch *watch;
	struct relay *relays;
};

static struct fake_sysfs sysfs;
static int event_fd, uevent_fd;
static char resumed[64];            /* the relays, as text */
static bool refuses;                /* no device can be opened; */
static unsigned n_refused;          /* attempts since then */
static unsigned n_lost;             /* devices that were there */
static uint64_t received, arriving; /* by every device so far, and from one check to the next */

static void announce_loss(void)
{
	assert_int_equal(eventfd_write(event_fd, 1), 0);
}

int port_events_open(struct port_events **ret_events, struct err *err)
{
	*ret_events = NULL;
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return event_fd < 0 ? -1 : 0;
}

struct port_events *port_events_close(struct port_events *events)
{
	close(event_fd);
	return NULL;
}

int port_events_fd(const struct port_events *events)
{
	return event_fd;
}

/* The lost device is always that of relay 1. */
bool port_events_next(struct port_events *events, struct port_event *ret_event)
{
	eventfd_t n;

	*ret_event = (struct port_event){PORT_EVENT_LOST, "it is a test", "net_null1"};
	return eventfd_read(event_fd, &n) == 0;
}

int host_uevent_open(struct err *err)
{
	uevent_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return uevent_fd;
}

bool host_uevent_read(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) == 0;
}

static void take_a_turn(void)
{
	const struct timespec turn = {.tv_nsec = TURN_NS};

	nanosleep(&turn, NULL);
}

void relay_lose(struct relay *relay, unsigned member, const char *why)
{
	if (relay->members[member].away)
		return;
	take_a_turn();
	relay->members[member].away = true;
	n_lost++;
}

/* Takes a whole turn, in vain or not; meanwhile another device is lost. */
int relay_resume(struct relay *relay, unsigned member, struct err *err)
{
	size_t length = strlen(resumed);

	take_a_turn();
	if (refuses) {
		n_refused++;
		return err_set(
			err, EAGAIN, "device %s is stuck", relay->device.members[member].name);
	}
	snprintf(resumed + length, sizeof(resumed) - length, "%u;", relay->id);
	relay->members[member].away = false;
	if (relay->id != 1)
		announce_loss();
	return 0;
}

uint64_t port_received(const char *device_name)
{
	return received += arriving;
}

void port_describe_link(const char *device_name, char *ret_text, size_t size)
{
}

void relay_follow_links(struct relay *relay)
{
}

int __real_host_pci_driver(
	const char *root, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE]);
int __wrap_host_pci_driver(
	const char *root, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE]);

int __wrap_host_pci_driver(
	const char *root, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE])
{
	return __real_host_pci_driver(sysfs.root, addr, ret_driver);
}

static int start_watch(void **state)
{
	static struct relay relays[RELAYS_MAX];
	static const struct config config;
	static struct bed bed;
	struct err err = {""};

	fake_sysfs_init(&sysfs);
	for (unsigned i = 1; i <= 8; i++) {
		relays[i] = (struct relay){.id = i, .members[0].away = true};
		relays[i].device.n_members = 1;
		snprintf(relays[i].device.members[0].name, DEVICE_NAME_SIZE, "net_null%u", i);
	}
	resumed[0] = '\0';
	refuses = false;
	n_refused = n_lost = 0;
	received = arriving = 0;
	bed.relays = relays;
	assert_true(sd_event_new(&bed.event) >= 0);
	if (device_watch_new(&bed.watch, relays, &config, bed.event, &err) < 0)
		fail_msg("%s", err.text);
	*state = &bed;
	return 0;
}

static int end_watch(void **state)
{
	struct bed *bed = *state;

	device_watch_free(bed->watch);
	sd_event_unref(bed->event);
	fake_sysfs_fini(&sysfs);
	return 0;
}

/* Otherwise one relay per second would be checked, or none if there is always something new. */
static void what_comes_meanwhile_waits_until_all_have_been_looked_at(void **state)
{
	struct bed *bed = *state;

	announce_loss();
	run_until(bed->event, !strcmp(resumed, "1;"));
	const uint64_t began_ns = clock_monotonic_ns();
	run_until(bed->event, !strcmp(resumed, "1;2;3;4;5;6;7;8;"));
	assert_in_range(clock_monotonic_ns() - began_ns, 7 * TURN_NS, 7 * SECOND_NS);
	run_until(bed->event, !strcmp(resumed, "1;2;3;4;5;6;7;8;1;"));
}

/* A VF that does not answer may take ten seconds, and the watchdog's timer must have its turn. */
static void each_member_has_a_turn_of_its_own(void **state)
{
	struct bed *bed = *state;
	struct relay *relay = &bed->relays[1];

	for (unsigned i = 2; i <= 8; i++)
		bed->relays[i].members[0].away = false;
	relay->device.n_members = 4;
	for (unsigned m = 1; m < 4; m++) {
		relay->members[m].away = true;
		snprintf(relay->device.members[m].name, DEVICE_NAME_SIZE, "net_null%u", 8 + m);
	}
	refuses = true;
	announce_loss();
	while (n_refused < 4) {
		const unsigned before = n_refused;
		sd_event_run(bed->event, 10000);
		assert_in_range(n_refused, before, before + 1);
	}
}

/* As when a PF goes with all its VFs. */
static void devices_that_are_removed_together_take_turns(void **state)
{
	struct bed *bed = *state;

	for (unsigned i = 1; i <= 8; i++) {
		bed->relays[i].members[0] = (struct relay_member){.incarnation = 1};
		bed->relays[i].device.members[0].is_pci = true;
	}
	assert_int_equal(eventfd_write(uevent_fd, 1), 0);
	while (n_lost < 8) {
		const unsigned before = n_lost;
		assert_true(sd_event_run(bed->event, 10000000) > 0);
		assert_in_range(n_lost, before, before + 1);
	}
}

static bool has_resumed_in_the_noise(void)
{
	usleep(10000);
	announce_loss();
	return resumed[0] != '\0';
}

static void quiet_is_not_waited_for_without_end(void **state)
{
	struct bed *bed = *state;

	run_until(bed->event, has_resumed_in_the_noise());
}

/* Doubts the device of relay 2, which is there, and lets it be checked together with relay 1. */
static struct relay_member *doubt(struct bed *bed)
{
	struct relay_member *member = &bed->relays[2].members[0];

	for (unsigned i = 2; i <= 8; i++)
		bed->relays[i].members[0].away = false;
	member->watch.doubt_check = 1;
	announce_loss();
	return member;
}

static void a_device_in_doubt_that_receives_nothing_is_opened_anew(void **state)
{
	struct bed *bed = *state;

	doubt(bed);
	run_until(bed->event, !strcmp(resumed, "1;2;"));
}

static void a_device_in_doubt_that_receives_is_left_alone(void **state)
{
	struct bed *bed = *state;

	arriving = 1;
	const struct relay_member *member = doubt(bed);
	run_until(bed->event, member->watch.doubt_check == 0);
	assert_string_equal(resumed, "1;");
}

static int old_stderr;

/* Redirects stderr to the file that is returned, until end_catching(). */
static int catch_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	old_stderr = dup(STDERR_FILENO);
	assert_true(fd >= 0 && old_stderr >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	return fd;
}

static void read_log(int fd, char *ret_log, size_t size)
{
	ssize_t n = pread(fd, ret_log, size - 1, 0);

	ret_log[n < 0 ? 0 : n] = '\0';
}

static void end_catching(int fd)
{
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(fd);
}

static unsigned occurrences(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

/* The log of one member must not make the other's be forgotten and repeated. */
static void why_a_device_is_not_back_is_told_once_for_each_member(void **state)
{
	const uint64_t end_ns = clock_monotonic_ns() + WAIT_NS;
	struct bed *bed = *state;
	char log[4096];

	for (unsigned i = 1; i <= 8; i++)
		bed->relays[i].members[0].away = i == 1;
	bed->relays[1].device.n_members = 2;
	bed->relays[1].members[1].away = true;
	strcpy(bed->relays[1].device.members[1].name, "net_null_too");
	refuses = true;
	int log_fd = catch_log();
	announce_loss();
	while (n_refused < 6 && clock_monotonic_ns() < end_ns)
		sd_event_run(bed->event, 10000);
	read_log(log_fd, log, sizeof(log));
	end_catching(log_fd);
	assert_int_equal(n_refused, 6);
	assert_int_equal(occurrences(log, "device net_null1 is stuck; trying again"), 1);
	assert_int_equal(occurrences(log, "device net_null_too is stuck; trying again"), 1);
}

/* A VF that was created anew belongs to the kernel again until somebody binds it. */
static void a_device_that_the_kernel_keeps_is_told_with_the_remedy(void **state)
{
	const uint64_t end_ns = clock_monotonic_ns() + WAIT_NS;
	struct bed *bed = *state;
	struct relay *relay = &bed->relays[1];
	const char *told = "is bound to the kernel's driver igbvf";
	char log[4096] = "";

	fake_sysfs_pci(&sysfs, "0000:05:08.1", "igbvf", -1);
	assert_int_equal(pci_addr_parse("0000:05:08.1", &relay->device.members[0].pci), 0);
	relay->device.members[0].is_pci = true;
	for (unsigned i = 2; i <= 8; i++)
		bed->relays[i].members[0].away = false;
	int log_fd = catch_log();
	while (strstr(log, told) == NULL && clock_monotonic_ns() < end_ns) {
		announce_loss();
		sd_event_run(bed->event, 10000);
		read_log(log_fd, log, sizeof(log));
	}
	end_catching(log_fd);
	assert_non_null(strstr(log, told));
	assert_non_null(strstr(log, "bind it: vio4wd vf bind "));
	assert_null(strstr(log, "trying again"));
	assert_string_equal(resumed, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_comes_meanwhile_waits_until_all_have_been_looked_at, start_watch,
			end_watch),
		cmocka_unit_test_setup_teardown(
			each_member_has_a_turn_of_its_own, start_watch, end_watch),
		cmocka_unit_test_setup_teardown(
			devices_that_are_removed_together_take_turns, start_watch, end_watch),
		cmocka_unit_test_setup_teardown(
			quiet_is_not_waited_for_without_end, start_watch, end_watch),
		cmocka_unit_test_setup_teardown(
			a_device_that_the_kernel_keeps_is_told_with_the_remedy, start_watch,
			end_watch),
		cmocka_unit_test_setup_teardown(
			a_device_in_doubt_that_receives_nothing_is_opened_anew, start_watch,
			end_watch),
		cmocka_unit_test_setup_teardown(
			a_device_in_doubt_that_receives_is_left_alone, start_watch, end_watch),
		cmocka_unit_test_setup_teardown(
			why_a_device_is_not_back_is_told_once_for_each_member, start_watch,
			end_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
