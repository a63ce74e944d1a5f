/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* ConfigRequest -> nothing, configuration -> ConfigResponse. Pure; any thread. */

#include "control/op.h"
#include "wire/message.h"

struct config_info {
	const char *daemon_version;
	const char *dpdk_version;
	const char *const *features; /* short names; terminated by NULL */
	const struct core_move *pins;
	unsigned n_pins;
};

/* 0, or -EBADR if the bytes are not a request. */
int config_request_decode(const void *data, size_t length);

/* 0 or -ENOMEM. */
int config_response_encode(const struct config_info *info, struct wire_message *ret_message);

/* The answer to an unreadable request. 0 or -ENOMEM. */
int config_error_encode(struct wire_message *ret_message);
