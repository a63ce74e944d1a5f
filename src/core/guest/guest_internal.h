/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What guest.c (opening and closing; control thread), guest_callbacks.c and guest_rings.c (vhost
 * thread) share.
 */

#include <rte_vhost.h>

#include "core/guest/guest.h"

/*
 * From now on the callbacks find this guest of the relay, which had none, by its path. NULL: the
 * relay has none any more.
 */
void guest_table_set(unsigned relay, struct guest *guest);

extern const struct rte_vhost_device_ops guest_callbacks;

/* Tells the guest's owner; the same threads as guest_options.changed. */
static inline void guest_changed(struct guest *guest)
{
	guest->options.changed(guest->options.userdata);
}
