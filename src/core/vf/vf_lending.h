/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

struct vf;

/*
 * Decides what may be lent to an open device: fills in `lending`, `chains` and `lend_max`, and logs
 * what it is or why it is nothing. Control thread.
 */
void vf_set_lending(struct vf *vf);
