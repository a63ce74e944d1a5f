/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/core_sched_codec.h"

#include <errno.h>
#include <stdint.h>

#include "base/text.h"
#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__CoreSchedRequest Request;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU RelayCPU;
typedef Virtioforwarder__CoreSchedResponse Response;

static int read_slices(
	const int32_t *cpus, size_t n, struct slice_cpus *ret_slices, struct err *err)
{
	if (n > SLICES_MAX)
		return err_set(
			err, EINVAL, "%zu slices are named, there are %d at most", n, SLICES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (cpus[i] < 0 || cpus[i] >= CPU_SET_MAX)
			return err_set(err, EINVAL, "slice %zu: CPU %d is not in 0-%d", i, cpus[i],
				CPU_SET_MAX - 1);
		ret_slices->cpus[i] = (unsigned)cpus[i];
	}
	ret_slices->n = (unsigned)n;
	return 0;
}

static int read_move(const RelayCPU *wire, struct core_move *ret_move, struct err *err)
{
	if (wire->relay_number < 0 || wire->relay_number >= RELAYS_MAX)
		return err_set(err, EINVAL, "relay_number %d is out of 0-%d", wire->relay_number,
			RELAYS_MAX - 1);
	if (wire->vf2virtio_cpu < 0 || wire->vf2virtio_cpu >= CPU_SET_MAX ||
		wire->virtio2vf_cpu < 0 || wire->virtio2vf_cpu >= CPU_SET_MAX)
		return err_set(err, EINVAL, "relay %d: CPUs %d and %d are not both in 0-%d",
			wire->relay_number, wire->vf2virtio_cpu, wire->virtio2vf_cpu,
			CPU_SET_MAX - 1);
	*ret_move = (struct core_move){
		.relay_id = (unsigned)wire->relay_number,
		.vf_to_vm_cpu = (unsigned)wire->vf2virtio_cpu,
		.vm_to_vf_cpu = (unsigned)wire->virtio2vf_cpu,
	};
	int r = read_slices(wire->vf2virtio_slice_cpu, wire->n_vf2virtio_slice_cpu,
		&ret_move->vf_to_vm_slices, err);
	if (r == 0)
		r = read_slices(wire->virtio2vf_slice_cpu, wire->n_virtio2vf_slice_cpu,
			&ret_move->vm_to_vf_slices, err);
	return r < 0 ? err_prefix(err, r, "relay %d", wire->relay_number) : 0;
}

static int read_moves(const Request *wire, struct core_sched_request *request, struct err *err)
{
	uint64_t seen = 0;

	if (wire->n_relay_cpu_map > RELAYS_MAX)
		return err_set(err, EINVAL, "relay_cpu_map names %zu relays, there are %d",
			wire->n_relay_cpu_map, RELAYS_MAX);
	for (size_t i = 0; i < wire->n_relay_cpu_map; i++) {
		struct core_move *move = &request->moves[i];
		int r = read_move(wire->relay_cpu_map[i], move, err);

		if (r < 0)
			return r;
		if (seen >> move->relay_id & 1)
			return err_set(
				err, EINVAL, "relay_cpu_map names relay %u twice", move->relay_id);
		seen |= UINT64_C(1) << move->relay_id;
	}
	request->n_moves = (unsigned)wire->n_relay_cpu_map;
	return 0;
}

static int read_request(
	const Request *wire, struct core_sched_request *ret_request, struct err *err)
{
	struct core_sched_request request = {};
	int r;

	switch (wire->op) {
	case VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__UPDATE:
		request.op = CORE_SCHED_UPDATE;
		r = read_moves(wire, &request, err);
		if (r < 0)
			return r;
		break;
	case VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES: /* ignores relay_cpu_map */
		request.op = CORE_SCHED_GET_EAL_CORES;
		break;
	default: /* protobuf-c accepts numbers that the enum does not have */
		return err_set(err, EINVAL, "operation %d is unknown", (int)wire->op);
	}
	*ret_request = request;
	return 0;
}

int core_sched_request_decode(
	const void *data, size_t length, struct core_sched_request *ret_request, struct err *err)
{
	Request *wire = virtioforwarder__core_sched_request__unpack(NULL, length, data);
	int r;

	if (!wire)
		return err_set(err, EBADMSG,
			"the request is no CoreSchedRequest, or one without a required field");
	r = read_request(wire, ret_request, err);
	virtioforwarder__core_sched_request__free_unpacked(wire, NULL);
	return r;
}

int core_sched_response_encode(const struct cpu_set *cores, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__INIT;
	uint32_t list[CPU_SET_MAX];

	response.status = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK;
	response.eal_cores = list;
	if (cores)
		CPU_SET_FOR_EACH (cpu, cores)
			list[response.n_eal_cores++] = (uint32_t)cpu;
	return wire_message_pack(&response.base, ret_message);
}

int core_sched_error_encode(int code, const struct err *err, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__INIT;
	char reason[ERR_TEXT_SIZE];

	text_copy(reason, sizeof(reason), err->text);
	response.status = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__ERROR;
	response.has_error_code = true;
	response.error_code = code;
	response.error_code_source = reason;
	return wire_message_pack(&response.base, ret_message);
}
