/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages on the wire; the first byte chooses one. Requests are decoded as by the daemon,
 * including its answer to a bad one; answers are decoded and printed as by the clients.
 */
#include "base/text.h"
#include "fuzz.h"
#include "virtioforwarder.pb-c.h"
#include "wire/config_codec.h"
#include "wire/core_sched_codec.h"
#include "wire/port_control_codec.h"
#include "wire/print.h"
#include "wire/stats_codec.h"

#include <errno.h>

typedef void use_fn(const uint8_t *data, size_t size);

static void check_device(const struct device_spec *device)
{
	require(device->n_members <= BOND_MEMBERS_MAX && device->bond_mode <= 6);
	for (unsigned i = 0; i < device->n_members; i++)
		require(device->members[i].name[0] && text_valid(device->members[i].text));
	require(text_valid(device->bond_name));
}

/* Every client must be able to read an answer. */
static void answer_port_control(int r, const struct err *err)
{
	struct op_result result = {.code = r < 0 ? -r : 0, .err = *err};
	struct wire_message message;

	require(port_control_response_encode(&result, &message) == 0);
	Virtioforwarder__PortControlResponse *response =
		virtioforwarder__port_control_response__unpack(NULL, message.length, message.data);
	require(response);
	require(!response->error_code_source || text_valid(response->error_code_source));
	virtioforwarder__port_control_response__free_unpacked(response, NULL);
	free(message.data);
}

static void use_port_control(const uint8_t *data, size_t size)
{
	struct err err = {""};
	struct op op;
	int r = port_control_request_decode(data, size, &op, &err);

	require((r < 0) == (err.text[0] != '\0'));
	answer_port_control(r, &err);
	if (r < 0)
		return;
	require(op.kind <= OP_QUERY_PCI && op.relay_id >= -1 && op.relay_id < RELAYS_MAX);
	require(text_valid(op.vhost_path) && text_valid(op.ident));
	const bool path = op.vhost_path[0] != '\0', members = op.device.n_members > 0;
	require(!path || op.vhost_path[0] == '/');
	require(op.kind != OP_ADD_SOCK || (path && members));
	require(op.kind != OP_REMOVE_SOCK || path || members || op.device.bond_name[0]);
	require(op.kind != OP_QUERY_PCI || path);
	check_device(&op.device);
}

static void use_stats(const uint8_t *data, size_t size)
{
	static const struct relay_rates rates[2];
	static const struct stats_view view = {.n_relays = 2,
		.relays = {{.id = 0,
				   .vf_to_vm.internal_state = "DPDK_READY",
				   .vm_to_vf.internal_state = "A"},
			{.id = 63,
				.vf_to_vm.internal_state = "B",
				.vm_to_vf.internal_state = "C"}}};
	struct stats_request request;
	struct wire_message message;
	int r = stats_request_decode(data, size, &request);

	if (r == 0)
		require(stats_response_encode(&request, &view, rates, &message) == 0);
	else
		require(stats_error_encode(r, &message) == 0);
	Virtioforwarder__StatsResponse *response =
		virtioforwarder__stats_response__unpack(NULL, message.length, message.data);
	require(response && response->n_relay <= 2);
	virtioforwarder__stats_response__free_unpacked(response, NULL);
	free(message.data);
}

static void use_core_sched(const uint8_t *data, size_t size)
{
	struct core_sched_request request;
	struct err err = {""};
	uint64_t seen = 0;
	int r = core_sched_request_decode(data, size, &request, &err);

	require((r < 0) == (err.text[0] != '\0'));
	if (r < 0)
		return;
	require(request.n_moves <= RELAYS_MAX);
	for (unsigned i = 0; i < request.n_moves; i++) {
		const struct core_move *move = &request.moves[i];
		require(move->relay_id < RELAYS_MAX && !(seen & 1ULL << move->relay_id));
		require(move->vf_to_vm_cpu < CPU_SET_MAX && move->vm_to_vf_cpu < CPU_SET_MAX);
		seen |= 1ULL << move->relay_id;
	}
}

static void use_config(const uint8_t *data, size_t size)
{
	int r = config_request_decode(data, size);

	require(r == 0 || r == -EBADR);
}

static void print(const ProtobufCMessage *message)
{
	static char text[1 << 20];
	FILE *out = fmemopen(text, sizeof(text), "w");

	require(out);
	print_protobuf(out, message, true);
	print_json(out, message);
	fclose(out);
}

#define USE_RESPONSE(name)                                                                  \
	static void use_##name##_response(const uint8_t *data, size_t size)                 \
	{                                                                                   \
		ProtobufCMessage *message = protobuf_c_message_unpack(                      \
			&virtioforwarder__##name##_response__descriptor, NULL, size, data); \
		if (message) {                                                              \
			print(message);                                                     \
			protobuf_c_message_free_unpacked(message, NULL);                    \
		}                                                                           \
	}

USE_RESPONSE(port_control)
USE_RESPONSE(stats)
USE_RESPONSE(core_sched)
USE_RESPONSE(config)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static use_fn *const uses[] = {use_port_control, use_stats, use_core_sched, use_config,
		use_port_control_response, use_stats_response, use_core_sched_response,
		use_config_response};

	if (size > 0)
		uses[data[0] % ARRAY_SIZE(uses)](data + 1, size - 1);
	return 0;
}
