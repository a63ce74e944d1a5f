/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Listening to the kernel's announcements. */

#include "base/err.h"

/*
 * A non-blocking socket that hears what the kernel announces to these multicast groups of a netlink
 * protocol; the caller closes it. Or -errno; `what`, for the error: "link events".
 */
int host_netlink_open(int protocol, unsigned groups, const char *what, struct err *err);
