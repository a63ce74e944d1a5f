/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/reconciler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/sysfs_fixture.h"

#define N_ROWS 4

struct bed {
	struct fake_sysfs fs;
	struct reconciler reconciler;
};

/* No row asks for a relay that there is. */
static void apply_nothing(void *userdata, const struct op *op, struct op_result *ret_result)
{
	fail_msg("a row is relayed");
}

static int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	fake_sysfs_init(&bed->fs);
	bed->reconciler.sysfs = bed->fs.root;
	bed->reconciler.apply = apply_nothing;
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

/* A row of that number, which asks for a relay that there is not. */
static void set_row(struct bed *bed, unsigned number, unsigned relay)
{
	char uuid[16], name[16], id[16];
	struct err err = {""};

	snprintf(uuid, sizeof(uuid), "uuid-%u", number);
	snprintf(name, sizeof(name), "eth%u", number);
	snprintf(id, sizeof(id), "%u", relay);
	json_t *update = json_pack("{s:{s:{s:{s:s, s:[s, [[s, s], [s, s], [s, s]]]}}}}",
		"Interface", uuid, "new", "name", name, "external_ids", "map", "virtio_forwarder",
		"1", "virtio_forwarder_device", "net_null0", "virtio_forwarder_id", id);
	assert_non_null(update);
	if (rows_take(&bed->reconciler.rows, update, false, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(update);
}

static bool is_told(const struct bed *bed, unsigned number)
{
	const struct row *row = &bed->reconciler.rows.rows[number];

	assert_true(row->problem.text[0]);
	return !strcmp(row->told.text, row->problem.text);
}

static void test_a_restless_row_hides_no_other(void **state)
{
	struct bed *bed = *state;

	for (unsigned i = 0; i < N_ROWS; i++)
		set_row(bed, i, RELAYS_MAX);
	for (unsigned i = 0; i < N_ROWS; i++) {
		set_row(bed, 0, RELAYS_MAX + 1 + i);
		bed->reconciler.log_limit.tokens = 1;
		reconciler_plan(&bed->reconciler, false);
		reconciler_run(&bed->reconciler);
	}
	for (unsigned i = 1; i < N_ROWS; i++)
		assert_true(is_told(bed, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_restless_row_hides_no_other, make_bed, remove_bed),
	};

	log_open("test", LOG_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
