/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * PortControlRequest -> struct op, struct op_result -> PortControlResponse. Pure; any thread.
 */

#include "base/err.h"
#include "control/op.h"
#include "wire/message.h"

/*
 * Decodes and validates a request as a whole: the result keeps every promise of op.h, and sets
 * nothing that its operation does not use. Returns 0, -EBADMSG if the bytes are not a request, or
 * another negative errno; *ret_op is untouched on failure.
 */
int port_control_request_decode(
	const void *data, size_t length, struct op *ret_op, struct err *err);

/* 0 or -ENOMEM. */
int port_control_response_encode(const struct op_result *result, struct wire_message *ret_message);
