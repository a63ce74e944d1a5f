/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the kernel says about huge pages, and how to tell an operator that there are too few.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Chooses the hugetlbfs mount whose pages the daemon uses; "" for ordinary pages (--no-huge). To be
 * called once before anything else here. Fails where `dir` is no hugetlbfs.
 */
int hugepages_use(const char *dir, struct err *err);

/* Fails unless `bytes` can be had now, on any node. Always fine with ordinary pages. */
int hugepages_require(uint64_t bytes, struct err *err);

/*
 * The error for an allocation of `bytes` on `socket` (-1: any) that failed: how many pages it
 * needs, how many are free, the command that adds them. Returns -ENOMEM.
 */
int hugepages_missing(uint64_t bytes, int socket, struct err *err);
