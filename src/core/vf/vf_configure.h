/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a device is configured to do: queues, offloads and packet memory, as the relay can use them
 * and the device offers them.
 *
 * Control thread only.
 */

#include "core/vf/vf.h"

/* What a device is asked for. */
struct vf_wish {
	unsigned queues; /* each way, at most */
	bool interrupts; /* of receive queues */
	unsigned mtu;
	const char *granted; /* what is said if this is granted, but not the first wish */
};

/*
 * Configures the device, whose port has just been opened, and creates its pool; it is not started.
 * On failure the port has to be closed; -ENOMEM means that memory is missing.
 */
int vf_configure(struct vf *vf, const struct vf_options *options, const struct vf_wish *wish,
	struct err *err);

/*
 * Fills in err: the device "cannot be" `what`, for the driver has returned r, which is not 0.
 * `said` is DPDK's message about that, or "". Returns r, or -EIO for a positive r, which no driver
 * should return.
 */
int vf_refused(struct err *err, int r, const struct vf *vf, const char *what, const char *said);
