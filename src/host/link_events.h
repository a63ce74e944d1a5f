/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The kernel's rtnetlink events about network interfaces with a carrier: the carrier has come up,
 * or something else has changed while it was up. There are no uevents for this.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Called with the index of each changed interface that has a carrier. */
typedef void host_link_up(void *userdata, unsigned index);

/*
 * Returns a non-blocking socket, readable when there are events, or a negative errno. The caller
 * closes it.
 */
int host_link_events_open(struct err *err);

/*
 * Reads the pending events. Returns true if the kernel has dropped some (in a storm, or because
 * they were not read for long): any interface may have changed. Does not block.
 */
bool host_link_events_read(int fd, host_link_up *up, void *userdata);

/* Parses messages as the kernel sends them. */
void host_link_events_parse(const void *messages, size_t length, host_link_up *up, void *userdata);
