/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Listening to kernel events. */

#include "base/err.h"

/*
 * Returns a non-blocking socket that receives what the kernel sends to these multicast groups of a
 * netlink protocol, or a negative errno. The caller closes it. `what` names the events for the
 * error: "link events".
 */
int host_netlink_open(int protocol, unsigned groups, const char *what, struct err *err);
