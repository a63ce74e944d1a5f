/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/config_service.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/config_codec.h"

struct config_service {
	struct zmq_service *zmq;
	struct wire_message answer; /* never changes */
	struct wire_message refusal;
};

static void on_request(void *userdata, struct zmq_request *request, const void *data, size_t length)
{
	struct config_service *service = userdata;
	const struct wire_message *answer =
		config_request_decode(data, length) < 0 ? &service->refusal : &service->answer;

	zmq_request_reply(request, answer->data, answer->length);
}

static int encode_answers(struct config_service *service, const struct config_pin pins[RELAYS_MAX],
	const struct config_service_versions *versions)
{
	struct core_move moves[RELAYS_MAX];
	struct config_info info = {
		.daemon_version = versions->daemon,
		.dpdk_version = versions->dpdk,
		.features = versions->features,
		.pins = moves,
	};
	int r;

	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		if (!pins[i].set)
			continue;
		moves[info.n_pins++] = (struct core_move){
			.relay_id = i,
			.vf_to_vm_cpu = (unsigned)pins[i].vf_to_vm_cpu,
			.vm_to_vf_cpu = (unsigned)pins[i].vm_to_vf_cpu,
		};
	}
	r = config_response_encode(&info, &service->answer);
	return r < 0 ? r : config_error_encode(&service->refusal);
}

int config_service_new(struct config_service **ret_service, const struct zmq_endpoint *endpoint,
	const struct config_pin pins[RELAYS_MAX], const struct config_service_versions *versions,
	struct err *err)
{
	struct config_service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return err_set(err, ENOMEM, "out of memory");
	r = encode_answers(service, pins, versions);
	if (r < 0)
		err_set(err, -r, "out of memory");
	else
		r = zmq_service_new(&service->zmq, endpoint, on_request, service, err);
	if (r < 0) {
		config_service_free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct config_service *config_service_free(struct config_service *service)
{
	if (!service)
		return NULL;
	zmq_service_free(service->zmq);
	free(service->answer.data);
	free(service->refusal.data);
	free(service);
	return NULL;
}
