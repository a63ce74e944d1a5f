/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "virtioforwarder.pb-c.h"
#include "wire/call.h"
#include "wire/port_control_request.h"

typedef Virtioforwarder__PortControlResponse Response;

static void read_response(const Response *response, struct op_result *ret_result)
{
	struct op_result result = {};

	if (response->status != VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK) {
		result.code = response->has_error_code && response->error_code > 0
		                      ? response->error_code
		                      : EIO;
		snprintf(result.err.text, sizeof(result.err.text), "%s",
			response->error_code_source ? response->error_code_source
						    : strerror(result.code));
	}
	if (response->query_string)
		snprintf(result.query, sizeof(result.query), "%s", response->query_string);
	*ret_result = result;
}

int client_port_control(
	const char *endpoint, const struct op *op, struct op_result *ret_result, struct err *err)
{
	struct port_control_frame frame;
	ProtobufCMessage *reply;
	int r;

	port_control_request_fill(op, &frame);
	r = wire_call(endpoint, CLIENT_TIMEOUT_MS, &frame.request.base,
		&virtioforwarder__port_control_response__descriptor, &reply, err);
	if (r < 0)
		return r;
	read_response((const Response *)reply, ret_result);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}
