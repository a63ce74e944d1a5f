/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What DPDK can get of a PCI function; and whether it can drive the function, and if not, why: for
 * the error that an operator reads when a device could not be opened.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/device_id.h"
#include "base/err.h"
#include "base/pci_addr.h"

/* How this process would use the function. */
struct host_use {
	bool physical_addresses; /* DPDK hands devices physical addresses (IOVA mode PA) */
	bool vf_token;           /* a VF token is configured, be it the right one or not */
};

/* What a kernel driver does with a function. */
enum host_driver_kind {
	HOST_DRIVER_NONE,
	HOST_DRIVER_KEEPS,      /* keeps it for the host */
	HOST_DRIVER_VFIO,       /* hands it to a process (vfio-pci) */
	HOST_DRIVER_UIO,        /* likewise, without an IOMMU: physical addresses (igb_uio, ...) */
	HOST_DRIVER_BIFURCATED, /* shares it with DPDK (mlx5) */
};

/* "" means no driver. */
enum host_driver_kind host_driver_kind(const char *driver);

/* The kind of the driver that a function is bound to; NONE as well if there is no such function. */
enum host_driver_kind host_pci_driver_kind(const char *sysfs, const struct pci_addr *addr);

/* The state of a device on which it depends whether opening it makes sense. */
struct host_device_state {
	uint64_t incarnation; /* of a PCI function: host_pci_incarnation() */
	enum host_driver_kind driver;
	unsigned interface; /* of another device: the index of the interface that it names (iface=)
	                     */
};

/*
 * Brings *state up to date. True if it differs from that of the last call: an attempt that has
 * failed may succeed now. All zeros mean that nothing was there. `sysfs` is its root. Any thread.
 */
bool host_device_has_changed(
	const char *sysfs, const struct device_id *id, struct host_device_state *state);

/* True if the driver hands the function to a process. */
bool host_driver_is_userspace(const char *driver);

/*
 * How many interrupts of the function a process gets by the function's present driver: with VFIO as
 * many as its MSI-X table has, with UIO one. 0 if there is no such limit, or it is unknown.
 */
unsigned host_pci_interrupts(const char *sysfs, const struct pci_addr *addr);

/* True if VFIO's no-IOMMU mode is allowed (its parameter enable_unsafe_noiommu_mode). */
bool host_vfio_allows_no_iommu(const char *sysfs);

/*
 * True if DPDK has to be started with physical addresses: some function is bound to a UIO driver,
 * or VFIO allows the no-IOMMU mode. In the latter case DPDK refuses all functions of vfio-pci
 * otherwise, even if there is an IOMMU.
 */
bool host_needs_physical_addresses(const char *sysfs);

/*
 * True if this process is told physical addresses, without which DPDK cannot start with them. It
 * needs CAP_SYS_ADMIN for that, outside of any user namespace.
 */
bool host_sees_physical_addresses(void);

/*
 * True if VFIO hands out the function only to those who have the VF token of the PF's program,
 * since both are bound to vfio-pci. Only an attempt shows whether a token is right.
 */
bool host_pci_wants_vf_token(const char *sysfs, const struct pci_addr *addr);

/*
 * Looks for whatever keeps this process from using a function. Returns 0 if nothing was found.
 * Otherwise err names the device and the remedy:
 *
 * - -ENODEV: no such device
 * - -ENXIO: not bound to a suitable driver
 * - -EOPNOTSUPP: it needs physical addresses, but DPDK gives virtual ones
 * - -EBUSY: another process or the host uses its IOMMU group
 * - -EACCES: no permission, or no VF token, which is wanted
 * - -ENOMEM: the limit of locked memory is too low
 * - another errno: the file of its IOMMU group cannot be opened
 *
 * `sysfs` and `dev` are the roots of the trees ("/sys", "/dev"). Changes nothing, does not block.
 * Opens the file of the IOMMU group for a moment, in which no other process can open it.
 */
int host_pci_usable(const char *sysfs, const char *dev, const struct pci_addr *addr,
	const struct host_use *use, struct err *err);
