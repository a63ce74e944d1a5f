/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What relay.c (life) and relay_stats.c (what is told of it) share. */

#include "control/relay.h"

static inline struct lane *relay_lane(struct relay *relay, enum direction direction, unsigned slice)
{
	return direction == VF_TO_VM ? &relay->vf_to_vm[slice].lane : &relay->vm_to_vf[slice].lane;
}

/* Where its packets are: in the VM's memory, else in the device's pool. -1: unknown. */
int relay_node(const struct relay *relay);
