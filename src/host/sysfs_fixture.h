/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * For tests: a sysfs tree in a temporary directory, with links and attributes like the kernel's.
 * Every function asserts that it succeeds.
 */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct fake_sysfs {
	char base[64]; /* a directory of mode 0700: the tree, "run", and what a test puts there */
	char root[80]; /* in it */
};

/*
 * Creates an empty tree, in a directory of its own below /tmp, with the drivers igbvf, mlx5_core,
 * nfp and vfio-pci loaded.
 */
void fake_sysfs_init(struct fake_sysfs *fs);

/* Removes the tree. */
void fake_sysfs_fini(struct fake_sysfs *fs);

/* Writes the file `path` of the tree and creates the directories above it. */
void fake_sysfs_set(struct fake_sysfs *fs, const char *path, const char *fmt, ...) _printf_(3, 4);

/* Creates a link; `target` is a path of the tree too. */
void fake_sysfs_link(struct fake_sysfs *fs, const char *path, const char *target);

void fake_sysfs_remove(struct fake_sysfs *fs, const char *path);

/* A PCI function with a driver ("" for none) and an IOMMU group (-1 for none). */
void fake_sysfs_pci(struct fake_sysfs *fs, const char *addr, const char *driver, int iommu_group);

/* The configuration space of a PCI function, as far as it can be read. */
void fake_sysfs_config(struct fake_sysfs *fs, const char *addr, const uint8_t *config, size_t size);

/* Makes `vf` the VF `number` of the PF: both links and sriov_numvfs. */
void fake_sysfs_vf(struct fake_sysfs *fs, const char *pf, const char *vf, int number);

/*
 * An interface of a PCI function, or a virtual one if `addr` is NULL. Other NULLs omit the
 * attribute.
 */
void fake_sysfs_netdev(struct fake_sysfs *fs, const char *name, const char *addr,
	const char *switch_id, const char *port_name);
