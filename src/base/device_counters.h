/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What an attached device and its packet pool report about themselves. */

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/* Of a bond's members, or of the device itself if it is no bond. */
enum member_state {
	MEMBER_UP,   /* it has a link */
	MEMBER_DOWN, /* it has none */
	MEMBER_AWAY, /* it went away by itself and is awaited */
	MEMBER_STATES_N
};

struct device_counters {
	unsigned n_queues; /* 0: there is no device, and the rest means nothing */
	bool answered;     /* false: the device has not told its counters, by queue or in all */
	/* The device's own counters, since it was attached. */
	uint64_t missed;          /* packets lost because the receive ring was full */
	uint64_t no_buffer;       /* packets lost because the pool had no buffer */
	uint64_t receive_errors;  /* packets that arrived broken */
	uint64_t transmit_errors; /* packets that could not be sent */
	/* By queue; 0 if its driver does not tell. */
	uint64_t queue_received[SLICES_MAX]; /* packets */
	uint64_t queue_sent[SLICES_MAX];
	unsigned members[MEMBER_STATES_N]; /* how many are in each state */
	unsigned pool_packets;             /* packets in the pool */
	unsigned pool_free;                /* of these, not in use now */
};
