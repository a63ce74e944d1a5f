/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The names of interfaces that went when we bound their functions to a userspace driver. A database
 * row, the command file or an operator may still use such a name for a VF. Each name is a link to
 * the function, /run/virtio-forwarder/netdev-NAME, so it survives a restart of the daemon. It does
 * not survive a reboot, after which the interface is back. `sysfs` is the tree's root ("/sys"), an
 * absolute path; the directory `run` is beside it.
 */

#include "base/err.h"
#include "base/pci_addr.h"

/*
 * Remembers the name of the function's interface, before it is unbound. The kernel may reuse the
 * name of an interface that has gone (eth2) for the next one. It still stands for the VF that had
 * it first, as long as that is bound: the other one is not remembered (-EEXIST). A function without
 * an interface is no error. Any thread, one at a time. Returns 0, or a negative errno with the name
 * and the reason in err.
 */
int host_former_name_remember(const char *sysfs, const struct pci_addr *addr, struct err *err);

/*
 * The VF that had an interface of this name, while a userspace driver has it; -ENOENT if there is
 * none. Any thread.
 */
int host_former_name_find(const char *sysfs, const char *netdev, struct pci_addr *ret_addr);
