/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * CoreSchedRequest -> plain data, results -> CoreSchedResponse. Pure; any thread.
 */

#include "base/cpu_set.h"
#include "base/err.h"
#include "base/limits.h"
#include "control/op.h"
#include "wire/message.h"

enum core_sched_op {
	CORE_SCHED_UPDATE,
	CORE_SCHED_GET_EAL_CORES,
};

struct core_sched_request {
	enum core_sched_op op;
	unsigned n_moves; /* UPDATE; no relay twice */
	struct core_move moves[RELAYS_MAX];
};

/*
 * Returns 0, -EBADMSG if the bytes are not a request, or -EINVAL. *ret_request is untouched on
 * failure.
 */
int core_sched_request_decode(
	const void *data, size_t length, struct core_sched_request *ret_request, struct err *err);

/* `cores` is NULL if they were not requested. 0 or -ENOMEM. */
int core_sched_response_encode(const struct cpu_set *cores, struct wire_message *ret_message);

/* `code` is a positive errno. 0 or -ENOMEM. */
int core_sched_error_encode(int code, const struct err *err, struct wire_message *ret_message);
