/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What an attached device and the packet pool made for it say of themselves. */

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct device_counters {
	unsigned n_queues; /* 0: there is no device, and the rest says nothing */
	bool answered;     /* else the device has not told its counters, those by queue neither */
	/* The device's own, since it was attached. */
	uint64_t missed;          /* arrived, and lost because its receive ring was full */
	uint64_t no_buffer;       /* arrived, and lost for want of a buffer from the pool */
	uint64_t receive_errors;  /* arrived broken */
	uint64_t transmit_errors; /* not sent */
	/* By queue; 0 where its driver does not tell. */
	uint64_t queue_received[SLICES_MAX]; /* packets */
	uint64_t queue_sent[SLICES_MAX];
	unsigned pool_packets; /* in all */
	unsigned pool_free;    /* of them not in use now */
};
