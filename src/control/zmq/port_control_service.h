/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The port control endpoint: each request becomes one operation. Control thread. */

#include "control/op.h"
#include "control/zmq/zmq_service.h"

struct port_control_service;

/* `apply` is called with operations that are valid by themselves, whatever the relays are. */
int port_control_service_new(struct port_control_service **ret_service,
	const struct zmq_endpoint *endpoint, op_apply *apply, void *userdata, struct err *err);

struct port_control_service *port_control_service_free(struct port_control_service *service);
