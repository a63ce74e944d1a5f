/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The list of the relays that were added at run time, from which they are restored when the daemon
 * starts: virtio-forwarder.ports, beside the pid file, whose lock keeps other daemons from it. It
 * is written anew after each operation, so that it says what is there, or else removed. Being for
 * the daemon's next run, not for the next boot, it is not synchronized with a disk.
 *
 * All functions: control thread.
 */

#include "config/config.h"
#include "control/forwarder.h"

struct kept_ports;

/*
 * Restores what the list says, before the event loop runs. What cannot be restored is logged, and
 * the list kept aside. Fails only without memory, or (-ECANCELED) if the daemon has been told to
 * stop; then the list stays as it is. `forwarder` must outlive the object.
 */
int kept_ports_new(struct kept_ports **ret_kept, const struct config *config,
	struct forwarder *forwarder, struct err *err);

/* Returns NULL. The list stays, for the next run. */
struct kept_ports *kept_ports_free(struct kept_ports *kept);

/* An op_apply: forwarder_apply(), and if that has succeeded, the list is written. */
void kept_ports_apply(void *kept, const struct op *op, struct op_result *ret_result);

/* For a daemon that keeps no list: puts one aside that is there, since it will be out of date. */
void kept_ports_set_aside(const struct config *config);
