/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/config_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtioforwarder.pb-c.h"

static void test_request(void **state)
{
	assert_int_equal(config_request_decode("", 0), 0);
	assert_int_equal(config_request_decode("\x08\x01", 2), 0); /* a field of the future */
	assert_int_equal(config_request_decode("\xff", 1), -EBADR);
}

static void test_response(void **state)
{
	const struct core_move pins[] = {{0, 1, 2}, {63, 3, 3}};
	const struct config_info info = {
		.daemon_version = "1.2",
		.dpdk_version = "DPDK 22.11",
		.features = (const char *const[]){"device", "ident", NULL},
		.pins = pins,
		.n_pins = 2,
	};
	Virtioforwarder__ConfigResponse *response;
	struct wire_message message;

	assert_int_equal(config_response_encode(&info, &message), 0);
	response = virtioforwarder__config_response__unpack(NULL, message.length, message.data);
	assert_int_equal(response->status, 0);
	assert_string_equal(response->daemon_version, "1.2");
	assert_string_equal(response->dpdk_version, "DPDK 22.11");
	assert_int_equal(response->n_features, 2);
	assert_string_equal(response->features[1], "ident");
	assert_int_equal(response->n_relay_cpu_map, 2);
	assert_int_equal(response->relay_cpu_map[1]->relay_number, 63);
	assert_int_equal(response->relay_cpu_map[0]->vf2virtio_cpu, 1);
	assert_int_equal(response->relay_cpu_map[0]->virtio2vf_cpu, 2);
	virtioforwarder__config_response__free_unpacked(response, NULL);
	free(message.data);

	assert_int_equal(config_error_encode(&message), 0);
	response = virtioforwarder__config_response__unpack(NULL, message.length, message.data);
	assert_int_equal(response->status, 400);
	virtioforwarder__config_response__free_unpacked(response, NULL);
	free(message.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
