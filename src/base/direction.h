/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The two directions of a relay. A capture's request and memory (capture.h) number them like this,
 * too. */
enum direction { VF_TO_VM, VM_TO_VF, DIRECTIONS_N };
