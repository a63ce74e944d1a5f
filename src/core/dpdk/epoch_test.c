/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dpdk/epoch.h"
#include "core/packet/packet_fixture.h"

static void offline_readers_are_not_waited_for(void **state)
{
	struct epoch *epoch = epoch_new(2);

	epoch_register(epoch, 0, 0);
	epoch_register(epoch, 1, 1);
	assert_true(epoch_passed(epoch, epoch_token(epoch)));
	epoch_online(epoch, 1);
	uint64_t token = epoch_token(epoch);
	assert_false(epoch_passed(epoch, token));
	epoch_online(epoch, 0); /* too late to hold what was taken out before */
	assert_false(epoch_passed(epoch, token));
	epoch_offline(epoch, 1);
	assert_true(epoch_passed(epoch, token));
	epoch_free(epoch);
}

static void every_online_reader_has_to_pass(void **state)
{
	struct epoch *epoch = epoch_new(3);

	for (unsigned i = 0; i < 3; i++) {
		epoch_register(epoch, i, i);
		epoch_online(epoch, i);
	}
	uint64_t first = epoch_token(epoch);
	epoch_quiescent(epoch, 0);
	epoch_quiescent(epoch, 1);
	uint64_t second = epoch_token(epoch); /* of another waiter */
	assert_false(epoch_passed(epoch, first));
	epoch_quiescent(epoch, 2);
	assert_true(epoch_passed(epoch, first));
	assert_false(epoch_passed(epoch, second));
	epoch_quiescent(epoch, 0);
	assert_false(epoch_passed(epoch, second));
	epoch_quiescent(epoch, 1);
	assert_true(epoch_passed(epoch, second));
	epoch_free(epoch);
}

static void one_reader_is_waited_for_alone(void **state)
{
	struct epoch *epoch = epoch_new(2);

	epoch_register(epoch, 0, 0);
	epoch_register(epoch, 1, 1);
	epoch_online(epoch, 1); /* and never passes */
	epoch_synchronize_reader(epoch, 0, "test");
	epoch_free(epoch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offline_readers_are_not_waited_for),
		cmocka_unit_test(every_online_reader_has_to_pass),
		cmocka_unit_test(one_reader_is_waited_for_alone),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
