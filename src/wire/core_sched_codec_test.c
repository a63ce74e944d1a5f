/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/core_sched_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__CoreSchedRequest Request;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU RelayCPU;
typedef Virtioforwarder__CoreSchedResponse Response;

static int decode(int op, unsigned n, const int map[][3], struct core_sched_request *ret_request,
	struct err *err)
{
	Request request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	RelayCPU cpus[80];
	RelayCPU *list[80];
	uint8_t bytes[4096];

	for (unsigned i = 0; i < n; i++) {
		virtioforwarder__core_sched_request__relay_cpu__init(&cpus[i]);
		cpus[i].relay_number = map ? map[i][0] : (int)i;
		cpus[i].vf2virtio_cpu = map ? map[i][1] : 1;
		cpus[i].virtio2vf_cpu = map ? map[i][2] : 1;
		list[i] = &cpus[i];
	}
	request.op = (Virtioforwarder__CoreSchedRequest__Op)op;
	request.relay_cpu_map = list;
	request.n_relay_cpu_map = n;
	return core_sched_request_decode(bytes,
		virtioforwarder__core_sched_request__pack(&request, bytes), ret_request, err);
}

static void test_request(void **state)
{
	struct core_sched_request request;

	assert_int_equal(
		decode(0, 2, (const int[][3]){{63, 1, 2}, {0, 1023, 0}}, &request, NULL), 0);
	assert_int_equal(request.op, CORE_SCHED_UPDATE);
	assert_int_equal(request.n_moves, 2);
	assert_int_equal(request.moves[0].relay_id, 63);
	assert_int_equal(request.moves[0].vf_to_vm_cpu, 1);
	assert_int_equal(request.moves[0].vm_to_vf_cpu, 2);
	assert_int_equal(request.moves[1].vf_to_vm_cpu, 1023);

	assert_int_equal(decode(0, 64, NULL, &request, NULL), 0);
	assert_int_equal(request.n_moves, 64);
	assert_int_equal(decode(1, 0, NULL, &request, NULL), 0);
	assert_int_equal(request.op, CORE_SCHED_GET_EAL_CORES);
	assert_int_equal(
		decode(1, 1, NULL, &request, NULL), 0); /* what it does not use is ignored */
	assert_int_equal(request.n_moves, 0);
}

static void test_breaches(void **state)
{
	static const struct {
		int op;
		unsigned n;
		int map[2][3];
		const char *reason;
	} cases[] = {
		{2, 0, {}, "operation 2"},
		{0, 1, {{-1, 1, 1}}, "relay_number -1"},
		{0, 1, {{64, 1, 1}}, "relay_number 64"},
		{0, 1, {{0, -1, 1}}, "CPUs -1 and 1"},
		{0, 1, {{0, 1, 1024}}, "CPUs 1 and 1024"},
		{0, 2, {{7, 1, 1}, {7, 2, 2}}, "relay 7 twice"},
	};
	struct core_sched_request request;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			decode(cases[i].op, cases[i].n, cases[i].map, &request, &err), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].reason));
	}
	assert_int_equal(decode(0, 65, NULL, &request, &err), -EINVAL);
	assert_non_null(strstr(err.text, "65 relays"));
	assert_int_equal(core_sched_request_decode("", 0, &request, &err), -EBADMSG);
	assert_int_equal(
		core_sched_request_decode("\x08\x00\x12\x00", 4, &request, &err), -EBADMSG);
}

/* The CPUs of `n` slices of relay 5's VF to VM. */
static int decode_slices(
	int32_t *slices, unsigned n, struct core_sched_request *ret_request, struct err *err)
{
	Request request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	RelayCPU cpus = VIRTIOFORWARDER__CORE_SCHED_REQUEST__RELAY_CPU__INIT;
	RelayCPU *list[] = {&cpus};
	uint8_t bytes[256];

	cpus.relay_number = 5;
	cpus.vf2virtio_slice_cpu = slices;
	cpus.n_vf2virtio_slice_cpu = n;
	request.relay_cpu_map = list;
	request.n_relay_cpu_map = 1;
	return core_sched_request_decode(bytes,
		virtioforwarder__core_sched_request__pack(&request, bytes), ret_request, err);
}

static void test_slices(void **state)
{
	int32_t slices[SLICES_MAX + 1] = {3, 1023, 4};
	struct core_sched_request request;
	struct err err;

	assert_int_equal(decode_slices(slices, 3, &request, &err), 0);
	assert_int_equal(request.moves[0].vf_to_vm_slices.n, 3);
	assert_int_equal(request.moves[0].vf_to_vm_slices.cpus[1], 1023);
	assert_int_equal(request.moves[0].vm_to_vf_slices.n, 0);
	assert_int_equal(decode_slices(slices, SLICES_MAX, &request, &err), 0);

	assert_int_equal(decode_slices(slices, SLICES_MAX + 1, &request, &err), -EINVAL);
	assert_string_equal(err.text, "relay 5: 9 slices are named, there are 8 at most");
	slices[1] = 1024;
	assert_int_equal(decode_slices(slices, 2, &request, &err), -EINVAL);
	assert_string_equal(err.text, "relay 5: slice 1: CPU 1024 is not in 0-1023");
	slices[1] = -1;
	assert_int_equal(decode_slices(slices, 2, &request, &err), -EINVAL);
}

static void test_response(void **state)
{
	struct wire_message message;
	struct cpu_set cpus = {};
	struct err err = {"CPU 9 runs no worker"};
	Response *response;

	cpu_set_add(&cpus, 1);
	cpu_set_add(&cpus, 1023);
	assert_int_equal(core_sched_response_encode(&cpus, &message), 0);
	response = virtioforwarder__core_sched_response__unpack(NULL, message.length, message.data);
	assert_int_equal(response->status, VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK);
	assert_int_equal(response->n_eal_cores, 2);
	assert_int_equal(response->eal_cores[1], 1023);
	virtioforwarder__core_sched_response__free_unpacked(response, NULL);
	free(message.data);

	assert_int_equal(core_sched_response_encode(NULL, &message), 0);
	assert_int_equal(message.length, 2);
	assert_memory_equal(message.data, "\x20\x01", 2);
	free(message.data);

	assert_int_equal(core_sched_error_encode(EINVAL, &err, &message), 0);
	response = virtioforwarder__core_sched_response__unpack(NULL, message.length, message.data);
	assert_int_equal(response->status, VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__ERROR);
	assert_int_equal(response->error_code, EINVAL);
	assert_string_equal(response->error_code_source, err.text);
	virtioforwarder__core_sched_response__free_unpacked(response, NULL);
	free(message.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
