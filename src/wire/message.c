/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>

int wire_message_pack(const ProtobufCMessage *source, struct wire_message *ret_message)
{
	size_t length = protobuf_c_message_get_packed_size(source);
	uint8_t *data = malloc(length ? length : 1);

	if (!data)
		return -ENOMEM;
	protobuf_c_message_pack(source, data);
	*ret_message = (struct wire_message){.data = data, .length = length};
	return 0;
}
