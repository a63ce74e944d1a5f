/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Binding of PCI functions to a userspace driver (vfio-pci) through driver_override, which names
 * the driver for one function and leaves all others alone. `sysfs` is the tree's root ("/sys").
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/pci_addr.h"

#define HOST_BIND_DRIVER "vfio-pci"

/*
 * Binds one function, and returns 1; 0 where it was bound to `driver` already. After a failure the
 * function has its former driver again where that can be; err names the device and the remedy:
 * -ENODEV no such device; -ENOENT the driver is not loaded; -EOPNOTSUPP no IOMMU; -EBUSY the device
 * is in use (an address on its interface, a bridge or bond above it, VFs below it); -EACCES no
 * permission; -EIO the driver refused. May block while the former driver lets go. Any thread, one
 * at a time.
 */
int host_bind_device(
	const char *sysfs, const struct pci_addr *addr, const char *driver, struct err *err);

/*
 * Reads a list as VIRTIOFWD_BIND_VFIO_PCI has it: "ens3,0000:01:02.3,01:02.4,ens4:16". A PF's
 * interface means all its VFs, with ":n" the first n; a VF's interface that VF. *ret_addrs is the
 * caller's to free. -EINVAL for bad text, -ENODEV for an interface or a VF that is not there.
 */
int host_bind_parse(const char *sysfs, const char *list, struct pci_addr **ret_addrs,
	unsigned *ret_n, struct err *err);

/* True where the list names the function. What of the list cannot be read names none. */
bool host_bind_lists(const char *sysfs, const char *list, const struct pci_addr *addr);

/*
 * Gives one function back to the kernel, which chooses a driver for it, and returns 1; 0 where it
 * is bound to none of the drivers for processes. -ENODEV, -EACCES and -EIO as above. Blocks while a
 * process uses the device.
 */
int host_unbind_device(const char *sysfs, const struct pci_addr *addr, struct err *err);

/* What became of one entry of a list: `r` and `err` as from host_bind_device(), or of the entry
 * itself. */
typedef void host_bind_report(void *userdata, const char *name, int r, const struct err *err);

/*
 * Binds all devices of a list to vfio-pci and reports each device, and each entry that means none,
 * to `report`. What fails does not keep the rest from being bound. Returns 0, or the first error's
 * code.
 */
int host_bind(const char *sysfs, const char *list, host_bind_report *report, void *userdata);

/*
 * Reports what host_bind() would, and binds nothing: 1 for a device that would be bound, 0 for one
 * that is, an error for what would be refused. The driver need not be loaded yet.
 */
void host_bind_foresee(
	const char *sysfs, const char *list, host_bind_report *report, void *userdata);
