/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * From the name of a network interface to the VF it stands for. Two kinds of interface do:
 *
 * - the VF's own: its device has a link `physfn` to the PF, and the PF a link `virtfnN` back;
 * - the VF's representor on the embedded switch of a NIC (NFP, mlx5, bnxt, ice, sfc and others):
 *   its phys_port_name holds the number of the VF and usually that of the PF ("pf0vf3", "c1pf0vf3",
 *   "pf0c1vf3", "p0pf0vf3"; older: "vf3" and "3"). Its `device` link leads to the PF. Without such
 *   a link (NFP), the PF is one with an interface of the same phys_switch_id; if several PFs share
 *   the switch, the PF's number is its PCI function, and the controller's number counts the cards.
 *
 * The name of a VF's own interface that went when we bound the VF (host/former_names.h) stands for
 * the VF as well, unless there is an interface of that name.
 */

#include "base/err.h"
#include "host/pci.h"

/* True if the interface's phys_port_name says that it is a VF's representor. */
bool host_netdev_is_representor(const char *sysfs, const char *netdev);

/*
 * The VF of the interface `netdev`, which may be any text. `sysfs` is the root of the tree
 * ("/sys"). Does not block. Returns 0, or with the reason in err:
 *
 * - -ENODEV: the interface or its VF does not exist (yet); try again when the host changes
 * - -EINVAL: the interface does not stand for a VF of this host, or the name is not valid
 * - -EEXIST: the name is ambiguous: it is a VF's, and another VF, which is bound, had it before
 */
int host_vf_from_netdev(
	const char *sysfs, const char *netdev, struct host_vf *ret_vf, struct err *err);
