/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's announcements of interfaces and PCI functions. That one came, changed, moved or got
 * a driver is a reason to look again for what was missing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A non-blocking socket, readable when something was announced; the caller closes it. Or -errno. */
int host_uevent_open(struct err *err);

#define HOST_UEVENT_CAME 1 /* something came, changed, moved or got a driver */
#define HOST_UEVENT_LEFT 2 /* something went away, or lost its driver */

/*
 * Takes what was announced. Returns a set of the above, both where announcements were lost; 0 where
 * there is nothing of concern. Does not block.
 */
int host_uevent_read(int fd);

/* What of the above a message, as the kernel sends it, tells. */
int host_uevent_parse(const char *message, size_t length);
