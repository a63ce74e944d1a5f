/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Shared by relay.c (life cycle) and relay_stats.c (statistics). */

#include "control/relay.h"

static inline struct lane *relay_lane(struct relay *relay, enum direction direction, unsigned slice)
{
	return direction == VF_TO_VM ? &relay->vf_to_vm[slice].lane : &relay->vm_to_vf[slice].lane;
}

/*
 * The NUMA node of the relay's packets: that of the VM's memory, or else of the device's pool. -1:
 * unknown.
 */
int relay_node(const struct relay *relay);
