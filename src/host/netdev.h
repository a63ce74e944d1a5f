/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * From the name of a network interface to the VF it stands for. Two kinds of interface do:
 *
 * - the VF's own: its device has a link `physfn` to the PF, and the PF a link `virtfnN` back;
 * - the VF's representor on the embedded switch of a NIC (NFP, mlx5, bnxt, ice, sfc and others):
 * its phys_port_name holds the VF's number and most often the PF's ("pf0vf3", "c1pf0vf3",
 * "pf0c1vf3", "p0pf0vf3"; older "vf3" and "3"). The PF is the one that its `device` link leads to;
 * where there is no such link (NFP), a PF with an interface of the same phys_switch_id. Where
 * several PFs share the switch, the PCI function is the PF's number and the controller counts the
 * cards.
 */

#include "base/err.h"
#include "host/pci.h"

/*
 * The VF of the interface `netdev`; any text may be given. `sysfs` is the tree's root ("/sys").
 * Does not block. Returns 0, or with the reason in err: -ENODEV  the interface or its VF is not
 * there (yet): worth another try when the host changes; -EINVAL  the interface stands for no VF of
 * this host, or the name can be no interface's.
 */
int host_vf_from_netdev(
	const char *sysfs, const char *netdev, struct host_vf *ret_vf, struct err *err);
