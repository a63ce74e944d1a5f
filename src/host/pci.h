/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the host knows of a PCI function, asked of sysfs anew each time. `sysfs` is the tree's root
 * ("/sys"). Nothing here changes anything or blocks.
 */

#include <net/if.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pci_addr.h"

#define HOST_DRIVER_SIZE 64

/* A VF and where it comes from. */
struct host_vf {
	struct pci_addr addr;
	struct pci_addr pf;
	int number; /* N of the PF's link virtfnN */
};

/* The driver bound to a function; -ENOENT for none, -ENODEV where there is no such function. */
int host_pci_driver(
	const char *sysfs, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE]);

/*
 * A number that a function has from its appearance to its removal: the same address has another one
 * once it was removed and made anew. 0 where there is no such function.
 */
uint64_t host_pci_incarnation(const char *sysfs, const struct pci_addr *addr);

/* The NUMA node, or -1 where the host has but one or does not tell. */
int host_pci_numa_node(const char *sysfs, const struct pci_addr *addr);

/* The number of the IOMMU group, or -ENOENT for none. */
int host_pci_iommu_group(const char *sysfs, const struct pci_addr *addr);

/* The function's network interface, the first by name; -ENOENT for none. */
int host_pci_netdev(
	const char *sysfs, const struct pci_addr *addr, char ret_netdev[static IFNAMSIZ]);

/* True for a function that can have VFs. */
bool host_pci_is_pf(const char *sysfs, const struct pci_addr *addr);

/* The VF at an address; -ENODEV where there is none now, -EINVAL where the function is no VF. */
int host_vf_from_pci(
	const char *sysfs, const struct pci_addr *addr, struct host_vf *ret_vf, struct err *err);

/* VF `number` of a PF; -ENODEV where the PF has no such VF now. */
int host_vf_of_pf(const char *sysfs, const struct pci_addr *pf, int number, struct host_vf *ret_vf,
	struct err *err);

/*
 * How often the link of a VF's PF has come up since the PF's interface was made; 0 where the kernel
 * has none for it, or the function is no VF.
 */
unsigned host_vf_link_ups(const char *sysfs, const struct pci_addr *vf);

/*
 * The VFs of a PF, or of all PFs where `pf` is NULL, in the order of PF and number. *ret_vfs is the
 * caller's to free. No VF at all is no error.
 */
int host_vf_list(const char *sysfs, const struct pci_addr *pf, struct host_vf **ret_vfs,
	unsigned *ret_n, struct err *err);
