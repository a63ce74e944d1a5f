/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* How many huge pages a program can get. */

#include <stdbool.h>
#include <stdint.h>

struct host_hugepages {
	const char *sysfs;
	uint64_t kib; /* the size of a page */
	int reserved; /* at most so many of what the kernel counts as reserved are for one mount */
	int left;     /* in files on that mount that ended DPDK programs have left */
	int allowed;  /* on that mount, by its size=; INT_MAX: any number */
};

/*
 * Describes the pages of the hugetlbfs mount `dir`, for a DPDK program that is yet to be started:
 * it has what is reserved for the mount (min_size=), and removes the files that ended DPDK programs
 * have left there. Files that this process cannot open are not counted as left. Of the mount's
 * reserve, files that have no name any more or are in folders may have taken some. Locks the files
 * for a moment: a DPDK program that starts in that moment leaves them where they are.
 */
void host_hugepages_of_mount(struct host_hugepages *pages, const char *dir);

/*
 * The number of pages that can be had on a node, or on all nodes with -1: what nobody has reserved,
 * and what the kernel makes on demand. How much these are is known for all nodes together only. -1
 * if there are no pages of that size.
 */
int host_hugepages_free(const struct host_hugepages *pages, int node);
