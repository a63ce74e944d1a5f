/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

struct vf;

/*
 * Reads the counters of the device and of its pool into vf->counters. Control thread. May wait for
 * the device: a VF that asks its PF by messages takes a millisecond, or seconds if the PF does not
 * answer.
 */
void vf_read_counters(struct vf *vf);
