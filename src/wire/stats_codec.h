/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * StatsRequest -> plain data, relay statistics -> StatsResponse. Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "control/stats.h"
#include "wire/message.h"

#define STATS_RELAYS_LISTED_MAX 64
#define STATS_RELAYS_ALL UINT64_MAX

struct stats_request {
	uint64_t relays; /* bit i: relay i is requested; or STATS_RELAYS_ALL */
	bool include_inactive;
	unsigned delay_ms;
};

struct direction_rates {
	double received_packets; /* per second; bytes likewise */
	double received_bytes;
	double sent_packets;
	double sent_bytes;
};

struct relay_rates {
	struct direction_rates vf_to_vm;
	struct direction_rates vm_to_vf;
};

/*
 * Returns 0, -EBADR if the bytes are not a request, or -E2BIG if they list more than
 * STATS_RELAYS_LISTED_MAX relays. *ret_request is untouched on failure.
 */
int stats_request_decode(const void *data, size_t length, struct stats_request *ret_request);

/*
 * Encodes the workers and those relays that are requested; rates[i] belongs to view->relays[i]. 0
 * or -ENOMEM.
 */
int stats_response_encode(const struct stats_request *request, const struct stats_view *view,
	const struct relay_rates *rates, struct wire_message *ret_message);

/* The answer to a request that failed with `code`: -EBADR, -E2BIG or -ENOMEM. 0 or -ENOMEM. */
int stats_error_encode(int code, struct wire_message *ret_message);
