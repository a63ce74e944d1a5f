/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/device_counters.h"

struct vf;

/*
 * Asks the device and looks at its pool. Control thread; may wait for the device, as a VF that asks
 * its PF by messages does (a millisecond).
 */
void vf_read_counters(const struct vf *vf, struct device_counters *ret_counters);
