/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/client.h"

#include <errno.h>
#include <string.h>

#include "virtioforwarder.pb-c.h"
#include "wire/call.h"

typedef Virtioforwarder__CoreSchedRequest Request;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU RelayCPU;
typedef Virtioforwarder__CoreSchedResponse Response;

/* Sends the request and turns the daemon's refusal into an error. The caller frees *ret_reply. */
static int core_sched_call(
	const char *endpoint, const Request *request, Response **ret_reply, struct err *err)
{
	ProtobufCMessage *message;
	Response *reply;
	int r;

	r = wire_call(endpoint, CLIENT_TIMEOUT_MS, &request->base,
		&virtioforwarder__core_sched_response__descriptor, &message, err);
	if (r < 0)
		return r;
	reply = (Response *)message;
	if (reply->status != VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK) {
		int code = reply->has_error_code && reply->error_code > 0 ? reply->error_code : EIO;

		r = err_set(err, code, "%s",
			reply->error_code_source ? reply->error_code_source : strerror(code));
		protobuf_c_message_free_unpacked(message, NULL);
		return r;
	}
	*ret_reply = reply;
	return 0;
}

/* Writes to an array of SLICES_MAX; returns the number of slices. */
static size_t write_slices(const struct slice_cpus *slices, int32_t *cpus)
{
	for (unsigned i = 0; i < slices->n; i++)
		cpus[i] = (int32_t)slices->cpus[i];
	return slices->n;
}

int client_core_sched_move(
	const char *endpoint, const struct core_move *moves, unsigned n, struct err *err)
{
	Request request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	RelayCPU cpus[RELAYS_MAX];
	RelayCPU *cpu_list[RELAYS_MAX];
	int32_t slices[RELAYS_MAX][2][SLICES_MAX];
	Response *reply;
	int r;

	if (n > RELAYS_MAX)
		return err_set(err, E2BIG, "%u relays are given, there are %d", n, RELAYS_MAX);
	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__UPDATE;
	request.relay_cpu_map = cpu_list;
	request.n_relay_cpu_map = n;
	for (unsigned i = 0; i < n; i++) {
		virtioforwarder__core_sched_request__relay_cpu__init(&cpus[i]);
		cpus[i].relay_number = (int32_t)moves[i].relay_id;
		cpus[i].vf2virtio_cpu = (int32_t)moves[i].vf_to_vm_cpu;
		cpus[i].virtio2vf_cpu = (int32_t)moves[i].vm_to_vf_cpu;
		cpus[i].vf2virtio_slice_cpu = slices[i][0];
		cpus[i].n_vf2virtio_slice_cpu =
			write_slices(&moves[i].vf_to_vm_slices, slices[i][0]);
		cpus[i].virtio2vf_slice_cpu = slices[i][1];
		cpus[i].n_virtio2vf_slice_cpu =
			write_slices(&moves[i].vm_to_vf_slices, slices[i][1]);
		cpu_list[i] = &cpus[i];
	}
	r = core_sched_call(endpoint, &request, &reply, err);
	if (r == 0)
		protobuf_c_message_free_unpacked(&reply->base, NULL);
	return r;
}

int client_core_sched_cpus(const char *endpoint, struct cpu_set *ret_cpus, struct err *err)
{
	Request request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	struct cpu_set cpus = {};
	Response *reply;
	int r;

	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES;
	r = core_sched_call(endpoint, &request, &reply, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < reply->n_eal_cores; i++)
		if (reply->eal_cores[i] < CPU_SET_MAX)
			cpu_set_add(&cpus, reply->eal_cores[i]);
	protobuf_c_message_free_unpacked(&reply->base, NULL);
	*ret_cpus = cpus;
	return 0;
}

int client_config(const char *endpoint, ProtobufCMessage **ret_reply, struct err *err)
{
	Virtioforwarder__ConfigRequest request = VIRTIOFORWARDER__CONFIG_REQUEST__INIT;
	ProtobufCMessage *message;
	int r;

	r = wire_call(endpoint, CLIENT_TIMEOUT_MS, &request.base,
		&virtioforwarder__config_response__descriptor, &message, err);
	if (r < 0)
		return r;
	if (((Virtioforwarder__ConfigResponse *)message)->status !=
		VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__OK) {
		protobuf_c_message_free_unpacked(message, NULL);
		return err_set(err, EBADR, "the daemon could not read the request");
	}
	*ret_reply = message;
	return 0;
}

void client_config_free(ProtobufCMessage *reply)
{
	protobuf_c_message_free_unpacked(reply, NULL);
}
