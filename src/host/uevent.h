/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's events about network interfaces and PCI functions. After one has come, changed,
 * moved or got a driver, it makes sense to look again for what was missing.
 */

#include <stddef.h>

#include "base/err.h"

/*
 * Returns a non-blocking socket, readable when there are events, or a negative errno. The caller
 * closes it.
 */
int host_uevent_open(struct err *err);

#define HOST_UEVENT_CAME 1 /* something came, changed, moved or got a driver */
#define HOST_UEVENT_LEFT 2 /* something went away, or lost its driver */

/*
 * Reads the pending events. Returns a set of the flags above: both if events were lost, 0 if there
 * was nothing of concern. Does not block.
 */
int host_uevent_read(int fd);

/* Returns the flag that applies to a message as the kernel sends it, or 0. */
int host_uevent_parse(const char *message, size_t length);
