/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Binds PCI functions to a userspace driver (vfio-pci) through driver_override, which names the
 * driver for a single function and does not affect any other. `sysfs` is the root of the tree
 * ("/sys").
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/pci_addr.h"

#define HOST_BIND_DRIVER "vfio-pci"

/*
 * Binds one function. Returns 1, or 0 if it was bound to `driver` already. After a failure it has
 * its former driver again, if that is possible, and err names the device and the remedy:
 *
 * - -ENODEV: no such device
 * - -ENOENT: the driver is not loaded
 * - -EOPNOTSUPP: no IOMMU
 * - -EBUSY: the device is in use (its interface has an address, belongs to a bridge or bond,
 *   carries a VLAN or a macvtap, or is in another network namespace; or it is a PF with VFs)
 * - -ENOMEM, -EMFILE, ...: whether it is in use could not be found out
 * - -EACCES: no permission
 * - -EIO: the driver refused
 *
 * May block while the former driver lets go. Any thread, but one at a time.
 */
int host_bind_device(
	const char *sysfs, const struct pci_addr *addr, const char *driver, struct err *err);

/*
 * Finds the devices of a list in the form of VIRTIOFWD_BIND_VFIO_PCI (base/bind_list.h). A PF's
 * interface means all its VFs, with ":n" the first n; a VF's representor means that VF. So does a
 * VF's own interface, also after it has gone because the VF was bound (host/former_names.h). The
 * caller frees *ret_addrs. -EINVAL for a bad list, -ENODEV for an interface or a VF that does not
 * exist, -EEXIST for an interface whose name a bound VF had before; or -ENOMEM.
 */
int host_bind_parse(const char *sysfs, const char *list, struct pci_addr **ret_addrs,
	unsigned *ret_n, struct err *err);

/* True if the list names the function. Entries that cannot be parsed or resolved name none. */
bool host_bind_list_has(const char *sysfs, const char *list, const struct pci_addr *addr);

/*
 * Gives one function back to the kernel, which chooses a driver for it. Returns 1, or 0 if it is
 * not bound to a userspace driver. -ENODEV, -EACCES and -EIO as above. Blocks while a process uses
 * the device.
 */
int host_unbind_device(const char *sysfs, const struct pci_addr *addr, struct err *err);

/*
 * Reports the result for one device, or for an entry that could not be resolved: `r` and `err` as
 * from host_bind_device() or host_bind_parse().
 */
typedef void host_bind_report(void *userdata, const char *name, int r, const struct err *err);

/*
 * Binds all devices of a list to vfio-pci. Calls `report` for each device, and for each entry that
 * names none. An error does not keep the rest from being bound.
 */
void host_bind(const char *sysfs, const char *list, host_bind_report *report, void *userdata);

/*
 * Reports what host_bind() would do, but binds nothing: 1 for a device that would be bound, 0 for
 * one that already is, an error for one that would be refused. The driver need not be loaded.
 */
void host_bind_foresee(
	const char *sysfs, const char *list, host_bind_report *report, void *userdata);
