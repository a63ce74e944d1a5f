/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's events about network interfaces and PCI functions. After one has come, gone,
 * changed, moved, got or lost a driver, it makes sense to look again for what was missing or in the
 * way.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Returns a non-blocking socket, readable when there are events, or a negative errno. The caller
 * closes it.
 */
int host_uevent_open(struct err *err);

/*
 * Reads the pending events. True if one is of concern, or events were lost. Does not block.
 */
bool host_uevent_read(int fd);

/* True if a message as the kernel sends it is of concern. */
bool host_uevent_parse(const char *message, size_t length);
