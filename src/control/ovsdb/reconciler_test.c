/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/reconciler.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "host/sysfs_fixture.h"

#define N_ROWS 4

struct bed {
	struct fake_sysfs fs;
	struct reconciler reconciler;
	unsigned n_applied[RELAYS_MAX];
};

/* No device can be attached. */
static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	struct bed *bed = userdata;

	bed->n_applied[op->relay_id]++;
	ret_result->code = -err_set(&ret_result->err, EIO, "broken");
}

static int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	fake_sysfs_init(&bed->fs);
	bed->reconciler.sysfs = bed->fs.root;
	bed->reconciler.apply = apply;
	bed->reconciler.userdata = bed;
	bed->reconciler.log_limit.burst = 1;
	*state = bed;
	return 0;
}

static int remove_bed(void **state)
{
	struct bed *bed = *state;

	rows_fini(&bed->reconciler.rows);
	fake_sysfs_fini(&bed->fs);
	free(bed);
	return 0;
}

static void take(struct bed *bed, json_t *update)
{
	struct err err = {""};

	assert_non_null(update);
	if (rows_take(&bed->reconciler.rows, update, false, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(update);
}

/* A row of that number, which asks for a relay. */
static void set_row(struct bed *bed, unsigned number, unsigned relay, const char *device)
{
	char uuid[16], name[16], id[16];

	snprintf(uuid, sizeof(uuid), "uuid-%u", number);
	snprintf(name, sizeof(name), "eth%u", number);
	snprintf(id, sizeof(id), "%u", relay);
	take(bed, json_pack("{s:{s:{s:{s:s, s:[s, [[s, s], [s, s], [s, s]]]}}}}", "Interface", uuid,
			  "new", "name", name, "external_ids", "map", "virtio_forwarder", "1",
			  "virtio_forwarder_device", device, "virtio_forwarder_id", id));
}

/* A plan because something has changed on the host. */
static unsigned look_again(struct bed *bed)
{
	reconciler_plan(&bed->reconciler, true);
	return reconciler_run(&bed->reconciler);
}

/* A plan because time has passed. */
static unsigned try_again(struct bed *bed)
{
	reconciler_plan(&bed->reconciler, false);
	return reconciler_run(&bed->reconciler);
}

static bool is_told(const struct bed *bed, unsigned number)
{
	const struct row *row = &bed->reconciler.rows.rows[number];

	assert_true(row->problem.text[0]);
	return !strcmp(row->logged.text, row->problem.text);
}

static void test_a_restless_row_hides_no_other(void **state)
{
	struct bed *bed = *state;

	for (unsigned i = 0; i < N_ROWS; i++)
		set_row(bed, i, RELAYS_MAX, "net_null0");
	for (unsigned i = 0; i < N_ROWS; i++) {
		set_row(bed, 0, RELAYS_MAX + 1 + i, "net_null0");
		bed->reconciler.log_limit.tokens = 1;
		try_again(bed);
	}
	for (unsigned i = 1; i < N_ROWS; i++)
		assert_true(is_told(bed, i));
}

#define VF "0000:05:08.1"
#define RELAY 3

/* An attempt may take seconds, and something changes on a host all the time. */
static void test_a_failed_addition_waits_unless_its_device_has_changed(void **state)
{
	struct bed *bed = *state;
	uint64_t *due_ns = &bed->reconciler.failed_additions[RELAY].due_ns;

	fake_sysfs_pci(&bed->fs, VF, "", 1);
	set_row(bed, 0, RELAY, VF);
	set_row(bed, 1, RELAY + 1, "net_null0");
	for (unsigned i = 0; i < 4; i++) {
		assert_in_range(look_again(bed), 1, 250);
		assert_int_equal(bed->n_applied[RELAY], 1);
		assert_string_equal(bed->reconciler.rows.rows[0].problem.text, "broken");
		*due_ns = clock_monotonic_ns() + UINT64_C(1000000000000);
	}
	fake_sysfs_link(&bed->fs, "devices/pci0000:00/" VF "/driver", "bus/pci/drivers/vfio-pci");
	look_again(bed);
	assert_int_equal(bed->n_applied[RELAY], 2);
	*due_ns = clock_monotonic_ns() + UINT64_C(1000000000000);

	/* nor if somebody asks for it anew */
	take(bed, json_pack("{s:{s:{s:{}}}}", "Interface", "uuid-0", "old"));
	look_again(bed);
	set_row(bed, 0, RELAY, VF);
	look_again(bed);
	assert_int_equal(bed->n_applied[RELAY], 3);
}

/* It is tried after 250 ms, 500 ms and so on, however long plans wait otherwise. */
static void test_a_failed_addition_waits_longer_each_time(void **state)
{
	struct bed *bed = *state;
	const struct failed_addition *failed = &bed->reconciler.failed_additions[RELAY];

	set_row(bed, 0, RELAY, "net_null0");
	for (unsigned n = 1; n <= 3; n++) {
		const uint64_t began_ns = clock_monotonic_ns();
		unsigned ms = 0;
		while (bed->n_applied[RELAY] < n) {
			bed->reconciler.retry_ms = 30000;
			ms = try_again(bed);
		}
		const unsigned delay_ms = 250 << (n - 1);
		assert_true(failed->due_ns >= began_ns + delay_ms * UINT64_C(1000000));
		assert_in_range(ms, 1, delay_ms);
	}
	take(bed, json_pack("{s:{s:{s:{}}}}", "Interface", "uuid-0", "old"));
	assert_int_equal(look_again(bed), UINT_MAX);
}

static void test_plans_wait_longer_each_time_until_the_host_changes(void **state)
{
	struct bed *bed = *state;

	set_row(bed, 0, RELAY, "net_null0");
	try_again(bed);
	bed->reconciler.failed_additions[RELAY].due_ns = UINT64_MAX;
	for (unsigned i = 1; i <= 6; i++)
		assert_int_equal(try_again(bed), 250 << i);
	assert_int_equal(try_again(bed), 30000);
	assert_int_equal(try_again(bed), 30000);
	assert_int_equal(look_again(bed), 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_restless_row_hides_no_other, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_a_failed_addition_waits_unless_its_device_has_changed, make_bed,
			remove_bed),
		cmocka_unit_test_setup_teardown(
			test_a_failed_addition_waits_longer_each_time, make_bed, remove_bed),
		cmocka_unit_test_setup_teardown(
			test_plans_wait_longer_each_time_until_the_host_changes, make_bed,
			remove_bed),
	};

	log_open("test", LOG_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
