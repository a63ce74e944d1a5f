/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdint.h>

struct vf;

/*
 * Reads the counters of the device and of its pool into vf->counters. Control thread. May wait for
 * the device: a VF that asks its PF by messages takes a millisecond, or seconds if the PF does not
 * answer.
 */
void vf_read_counters(struct vf *vf);

/*
 * To be called when a bond has gone on without a member, whose port is still open: what it has
 * counted stays in the bond's counters. A device that has been pulled out may tell nothing; then
 * what it had told until the last call of vf_read_counters() stays. Likewise.
 */
void vf_keep_counters(struct vf *vf, uint16_t member);
