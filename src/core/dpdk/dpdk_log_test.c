/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/dpdk_log.h"

#include <rte_dev.h>
#include <rte_log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "core/packet/packet_fixture.h"

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

static void the_driver_is_heard(void **state)
{
	dpdk_log_capture_start();
	assert_true(rte_dev_probe("net_tap0,mac=nonsense") < 0);
	const char *said = dpdk_log_capture_end();
	if (strstr(said, "nonsense") == NULL)
		fail_msg("\"%s\" is not the driver's line", said);
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
		cmocka_unit_test(the_driver_is_heard),
	};

	return cmocka_run_group_tests(tests, open_log, NULL);
}
