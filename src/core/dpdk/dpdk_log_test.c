/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/dpdk_log.h"

#include <rte_dev.h>
#include <rte_log.h>
#include <rte_vhost.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "core/packet/packet_fixture.h"

/* The last line in the log. */
static struct {
	int severity;
	int relay;
	char text[512];
} last;

void __wrap_log_at(int severity, const char *fmt, ...);
void __wrap_log_event_at(int severity, const struct log_event *event, const char *fmt, ...);

void __wrap_log_at(int severity, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last.text, sizeof(last.text), fmt, args);
	va_end(args);
	last.severity = severity;
	last.relay = -1;
}

void __wrap_log_event_at(int severity, const struct log_event *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last.text, sizeof(last.text), fmt, args);
	va_end(args);
	last.severity = severity;
	last.relay = event->relay;
}

static void say(uint32_t level, const char *line)
{
	rte_log(level, RTE_LOGTYPE_USER1, "%s\n", line);
}

/* The cause may be no more than a warning: VFIO's refusal of a device is. */
static void the_first_line_is_kept(void **state)
{
	dpdk_log_capture_start();
	say(RTE_LOG_NOTICE, "an ordinary event");
	say(RTE_LOG_WARNING, "the cause");
	say(RTE_LOG_ERR, "the consequence");
	assert_string_equal(dpdk_log_capture_end(), "the cause");

	dpdk_log_capture_start();
	assert_string_equal(dpdk_log_capture_end(), "");
}

/* DPDK aborts next, so nobody will end the capture and report. */
static void a_panic_is_told_at_once(void **state)
{
	dpdk_log_capture_start();
	say(RTE_LOG_CRIT, "PANIC");
	assert_string_equal(last.text, "DPDK: PANIC");
	assert_int_equal(last.severity, LOG_CRIT);
	dpdk_log_capture_end();
}

static void the_driver_is_heard(void **state)
{
	dpdk_log_capture_start();
	assert_true(rte_dev_probe("net_tap0,mac=nonsense") < 0);
	const char *said = dpdk_log_capture_end();
	if (strstr(said, "nonsense") == NULL)
		fail_msg("\"%s\" is not the driver's line", said);
}

/* Makes the vhost library complain about the socket of a relay. */
static void complain(const char *name)
{
	char path[] = DPDK_LOG_VHOST_DIR "/63";
	uint64_t features;

	strcpy(path + strlen(DPDK_LOG_VHOST_DIR "/"), name);
	assert_true(rte_vhost_driver_get_features(path, &features) < 0);
}

static void a_line_about_a_vm_is_the_relays(void **state)
{
	complain("63");
	assert_int_equal(last.relay, 63);
	assert_string_equal(
		last.text, "relay 63: DPDK's vhost library: socket file is not registered yet.");
	complain("64");
	assert_int_equal(last.relay, -1);
	say(RTE_LOG_ERR, "VHOST_CONFIG: anything else");
	assert_int_equal(last.relay, -1);
	assert_string_equal(last.text, "DPDK: VHOST_CONFIG: anything else");
}

static void a_vm_does_not_hide_what_is_said_of_others(void **state)
{
	for (unsigned i = 0; i < 200; i++)
		complain("5");
	complain("6");
	assert_int_equal(last.relay, 6);
	say(RTE_LOG_ERR, "a device");
	assert_string_equal(last.text, "DPDK: a device");
}

static int open_log(void **state)
{
	struct err err;

	start_dpdk(state);
	return dpdk_log_open(LOG_INFO, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_line_is_kept),
		cmocka_unit_test(a_panic_is_told_at_once),
		cmocka_unit_test(the_driver_is_heard),
		cmocka_unit_test(a_line_about_a_vm_is_the_relays),
		cmocka_unit_test(a_vm_does_not_hide_what_is_said_of_others),
	};

	return cmocka_run_group_tests(tests, open_log, NULL);
}
