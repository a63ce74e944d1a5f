/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A request to an endpoint, and its answer. */

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

/*
 * Sends `request` to `endpoint` and waits up to `timeout_ms` for the answer, a message of `type`.
 * Returns 0, -ETIMEDOUT, -EACCES at once if the socket of an ipc endpoint may not be used, -EBADMSG
 * if the answer is not of that type, or another negative errno; the reason is in err. After
 * -ETIMEDOUT the daemon may still do what was asked. The caller frees *ret_reply with
 * protobuf_c_message_free_unpacked(). Any thread; blocks.
 */
int wire_call(const char *endpoint, int timeout_ms, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_reply, struct err *err);
