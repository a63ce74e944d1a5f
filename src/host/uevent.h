/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's announcements that an interface or PCI function came, changed, moved or got a
 * driver: reasons to look again for what was missing. What goes away is not told.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A non-blocking socket, readable when something was announced; the caller closes it. Or -errno. */
int host_uevent_open(struct err *err);

/*
 * Takes what was announced. Returns 1 where it is a reason to look again (or announcements were
 * lost), 0 where it is none. Does not block.
 */
int host_uevent_read(int fd);

/* True where a message, as the kernel sends it, is such a reason. */
bool host_uevent_matters(const char *message, size_t length);
