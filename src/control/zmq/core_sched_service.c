/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/core_sched_service.h"

#include <errno.h>
#include <stdlib.h>

struct core_sched_service {
	struct zmq_service *zmq;
	struct core_sched_callbacks callbacks;
	void *userdata;
};

static int check_cpu(
	const struct core_move *move, unsigned cpu, const struct cpu_set *workers, struct err *err)
{
	char list[128];

	if (cpu_set_has(workers, cpu))
		return 0;
	cpu_set_format(workers, list, sizeof(list));
	return err_set(err, EINVAL, "relay %u: CPU %u runs no worker, the workers run on %s",
		move->relay_id, cpu, list);
}

static int check_slices(const struct core_move *move, const struct slice_cpus *slices,
	const struct cpu_set *workers, struct err *err)
{
	for (unsigned i = 0; i < slices->n; i++) {
		int r = check_cpu(move, slices->cpus[i], workers, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int update(struct core_sched_service *service, const struct core_sched_request *request,
	const struct cpu_set *workers, struct err *err)
{
	int r;

	for (unsigned i = 0; i < request->n_moves; i++) {
		const struct core_move *move = &request->moves[i];

		if ((r = check_cpu(move, move->vf_to_vm_cpu, workers, err)) < 0 ||
			(r = check_cpu(move, move->vm_to_vf_cpu, workers, err)) < 0 ||
			(r = check_slices(move, &move->vf_to_vm_slices, workers, err)) < 0 ||
			(r = check_slices(move, &move->vm_to_vf_slices, workers, err)) < 0)
			return r;
	}
	service->callbacks.move(service->userdata, request->moves, request->n_moves);
	return 0;
}

/* Executes the request and encodes the answer. Returns 0 or -ENOMEM. */
static int answer_request(struct core_sched_service *service, const void *data, size_t length,
	struct wire_message *ret_answer)
{
	struct core_sched_request request;
	struct cpu_set workers = {};
	struct err err = {};
	int r;

	service->callbacks.worker_cpus(service->userdata, &workers);
	r = core_sched_request_decode(data, length, &request, &err);
	if (r >= 0 && request.op == CORE_SCHED_UPDATE)
		r = update(service, &request, &workers, &err);
	if (r < 0)
		return core_sched_error_encode(-r, &err, ret_answer);
	return core_sched_response_encode(
		request.op == CORE_SCHED_UPDATE ? NULL : &workers, ret_answer);
}

static void on_request(void *userdata, struct zmq_request *request, const void *data, size_t length)
{
	struct wire_message answer;

	zmq_request_answer(request, answer_request(userdata, data, length, &answer), &answer);
}

int core_sched_service_new(struct core_sched_service **ret_service,
	const struct zmq_endpoint *endpoint, const struct core_sched_callbacks *callbacks,
	void *userdata, struct err *err)
{
	struct core_sched_service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return err_set(err, ENOMEM, "out of memory");
	service->callbacks = *callbacks;
	service->userdata = userdata;
	r = zmq_service_new(&service->zmq, endpoint, on_request, service, err);
	if (r < 0) {
		free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct core_sched_service *core_sched_service_free(struct core_sched_service *service)
{
	if (service)
		zmq_service_free(service->zmq);
	free(service);
	return NULL;
}
