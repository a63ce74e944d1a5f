/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The port control endpoint: each request becomes one operation. Control thread. */

#include "control/op.h"
#include "control/zmq/zmq_service.h"

struct port_control_service;

/*
 * Does the operation or changes nothing, and fills *ret_result, which comes zeroed. `op` has been
 * validated by itself, but not yet against the existing relays.
 */
typedef void port_control_apply(void *userdata, const struct op *op, struct op_result *ret_result);

int port_control_service_new(struct port_control_service **ret_service,
	const struct zmq_endpoint *endpoint, port_control_apply *apply, void *userdata,
	struct err *err);

struct port_control_service *port_control_service_free(struct port_control_service *service);
