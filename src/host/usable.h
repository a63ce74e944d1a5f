/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Whether DPDK can drive a PCI function, and if not, why: for the message that an operator reads
 * when a device could not be opened.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/pci_addr.h"

/* How this process would use the function. */
struct host_use {
	bool physical_addresses; /* DPDK hands devices physical addresses (IOVA mode PA) */
	bool vf_token;           /* a VF token is configured */
};

/* What a driver of the kernel's does with the function. */
enum host_driver_kind {
	HOST_DRIVER_NONE,
	HOST_DRIVER_KEEPS,      /* it has it for the host */
	HOST_DRIVER_VFIO,       /* hands it to a process */
	HOST_DRIVER_UIO,        /* too, but knows no IOMMU: physical addresses (igb_uio, ...) */
	HOST_DRIVER_BIFURCATED, /* lets DPDK drive it as well (mlx5) */
};

/* "" is none. */
enum host_driver_kind host_driver_kind(const char *driver);

/* True where the driver hands the function to a process. */
bool host_driver_is_userspace(const char *driver);

/* True where a function is bound to a driver that knows no IOMMU. */
bool host_any_bound_to_uio(const char *sysfs);

/*
 * Looks for what keeps a process from using a function. 0 where nothing was found; otherwise err
 * names the device and the remedy: -ENODEV no such device; -ENXIO not bound to a driver for it;
 * -EOPNOTSUPP no IOMMU, or the wrong kind of addresses; -EBUSY its IOMMU group is in use, by
 * another process or the host; -EACCES no permission, or the VF token; -ENOMEM the limit of locked
 * memory. `sysfs` and `dev` are the trees' roots ("/sys", "/dev"). Changes nothing, does not block.
 */
int host_pci_usable(const char *sysfs, const char *dev, const struct pci_addr *addr,
	const struct host_use *use, struct err *err);
