/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's announcements (rtnetlink) of network interfaces that have a carrier: it has come, or
 * something else has changed meanwhile. Devices do not tell: there is no uevent for it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Called with the index of each interface that has changed and has a carrier. */
typedef void host_link_up(void *userdata, unsigned index);

/* A non-blocking socket, readable when something was announced; the caller closes it. Or -errno. */
int host_link_events_open(struct err *err);

/* Takes what was announced. What was lost in a storm of announcements is not heard of. Does not
 * block. */
void host_link_events_read(int fd, host_link_up *up, void *userdata);

/* Does that with messages as the kernel sends them. */
void host_link_events_parse(const void *messages, size_t length, host_link_up *up, void *userdata);
