/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the kernel says about huge pages, and how to tell an operator that there are too few.
 *
 * It also defines flock(), which replaces the C library's for all libraries too, so that DPDK does
 * not wait for ever for the lock of the hugetlbfs.
 *
 * Control thread, except for flock().
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/numa.h"

/* The memory without huge pages. Reserved at start; pages are taken as they are used. */
#define NO_HUGE_MIB 2048

/*
 * Chooses the hugetlbfs mount whose pages the daemon uses; "": ordinary pages (--no-huge). Once,
 * before anything else here. Fails if `dir` is not a hugetlbfs or cannot be written to. It is kept.
 */
int hugepages_use(const char *dir, struct err *err);

/* From now on packets are kept on these nodes only; empty: on any. */
void hugepages_confine(struct numa_set nodes);

/* The node on which packets wanted on `node` (-1: any) are kept; see numa_set_choose(). */
int hugepages_node(int node);

/*
 * Fails unless `bytes` are free and not reserved now, on `node` (-1: any), and the mount's size=
 * allows them. Always succeeds with ordinary pages.
 */
int hugepages_require(uint64_t bytes, int node, struct err *err);

/*
 * Fills in the error for a failed allocation of `bytes` on `node` (-1: any): how many pages it
 * needs, how many are free, and the command that adds them; or, if enough are free, that the mount
 * allows too few, or a control group may; or, with ordinary pages, that there are no more. Returns
 * -ENOMEM.
 */
int hugepages_missing(uint64_t bytes, int node, struct err *err);
