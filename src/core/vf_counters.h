/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

struct vf;

/*
 * Asks the device and looks at its pool: vf->counters. Control thread; may wait for the device, as
 * a VF that asks its PF by messages does (a millisecond, or seconds where the PF does not answer).
 */
void vf_read_counters(struct vf *vf);
