/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the kernel says about huge pages, and how to tell an operator that there are too few.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/numa.h"

/*
 * Chooses the hugetlbfs mount whose pages the daemon uses; "" for ordinary pages (--no-huge). To be
 * called once before anything else here. Fails where `dir` is no hugetlbfs, or cannot be written
 * to.
 */
int hugepages_use(const char *dir, struct err *err);

/* From now on packets are kept on those nodes only. */
void hugepages_confine(struct numa_set nodes);

/* The node that packets wanted on `node` (-1: any) are kept on; see numa_set_choose(). */
int hugepages_node(int node);

/* Fails unless `bytes` can be had now, on `node` (-1: any). Always fine with ordinary pages. */
int hugepages_require(uint64_t bytes, int node, struct err *err);

/*
 * The error for an allocation of `bytes` on `socket` (-1: any) that failed: how many pages it
 * needs, how many are free, the command that adds them. Returns -ENOMEM.
 */
int hugepages_missing(uint64_t bytes, int socket, struct err *err);
