/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A serialized message. Whoever receives one owns `data` and frees it with free(). After success
 * `data` is never NULL, even if `length` is 0.
 */

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct wire_message {
	uint8_t *data;
	size_t length;
};

/* Serializes any protobuf-c message. 0 or -ENOMEM. */
int wire_message_pack(const ProtobufCMessage *source, struct wire_message *ret_message);
