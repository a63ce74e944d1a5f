/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What guest.c (opening and closing; control thread), guest_callbacks.c and guest_rings.c (vhost
 * thread) share.
 */

#include <rte_vhost.h>

#include "core/guest/guest.h"

/* From now on the callbacks find the guest by its path. -ENOSPC if all slots are taken. */
int guest_table_insert(struct guest *guest);
void guest_table_remove(struct guest *guest);

extern const struct rte_vhost_device_ops guest_callbacks;

/* Tells the guest's owner; the same threads as guest_options.changed. */
static inline void guest_changed(struct guest *guest)
{
	guest->options.changed(guest->options.userdata);
}
