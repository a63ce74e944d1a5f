/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/port_control_service.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "wire/port_control_codec.h"

struct port_control_service {
	struct zmq_service *zmq;
	op_apply *apply;
	void *userdata;
	struct log_limit refusal_limit;
};

/* `op` is NULL if the request could not be read. */
static void log_refusal(const struct op *op, const struct err *err)
{
	struct log_event about = {.relay = -1};

	if (op != NULL) {
		about.relay = op->relay_id;
		about.socket = op->vhost_path;
		about.device = device_spec_name(&op->device);
	}
	log_event_at(LOG_WARNING, &about, "port control request refused: %s", err->text);
}

static void on_request(void *userdata, struct zmq_request *request, const void *data, size_t length)
{
	struct port_control_service *service = userdata;
	struct op_result result = {};
	struct wire_message answer;
	struct op op;
	int r;

	r = port_control_request_decode(data, length, &op, &result.err);
	if (r < 0)
		result.code = -r;
	else
		service->apply(service->userdata, &op, &result);
	if (result.code != 0 && log_limit_pass(&service->refusal_limit, LOG_WARNING))
		log_refusal(r < 0 ? NULL : &op, &result.err);

	zmq_request_answer(request, port_control_response_encode(&result, &answer), &answer);
}

int port_control_service_new(struct port_control_service **ret_service,
	const struct zmq_endpoint *endpoint, op_apply *apply, void *userdata, struct err *err)
{
	struct port_control_service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return err_set(err, ENOMEM, "out of memory");
	service->apply = apply;
	service->userdata = userdata;
	service->refusal_limit = (struct log_limit)LOG_LIMIT(10);
	r = zmq_service_new(&service->zmq, endpoint, on_request, service, err);
	if (r < 0) {
		free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct port_control_service *port_control_service_free(struct port_control_service *service)
{
	if (service)
		zmq_service_free(service->zmq);
	free(service);
	return NULL;
}
