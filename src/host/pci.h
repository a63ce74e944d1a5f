/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the host knows about a PCI function, read from sysfs on every call. `sysfs` is the root of
 * the tree ("/sys"). Nothing here changes anything or blocks.
 */

#include <net/if.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pci_addr.h"

#define HOST_DRIVER_SIZE 64

/* A VF, its PF and its number. */
struct host_vf {
	struct pci_addr addr;
	struct pci_addr pf;
	int number; /* N of the PF's link virtfnN */
};

/* The driver bound to a function; -ENOENT if none is, -ENODEV if there is no such function. */
int host_pci_driver(
	const char *sysfs, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE]);

/*
 * A number that a function keeps from its creation to its removal. If it is removed and created
 * again, the same address has another number. 0 if there is no such function.
 */
uint64_t host_pci_incarnation(const char *sysfs, const struct pci_addr *addr);

/* The NUMA node, or -1 if the host has only one or does not tell. */
int host_pci_numa_node(const char *sysfs, const struct pci_addr *addr);

/* The number of the IOMMU group, or -ENOENT if there is none. */
int host_pci_iommu_group(const char *sysfs, const struct pci_addr *addr);

/*
 * The size of the function's MSI-X table, which is how many interrupts it can have; 0 if it has no
 * such table, or the configuration space cannot be read, for which root is needed.
 */
unsigned host_pci_msix_vectors(const char *sysfs, const struct pci_addr *addr);

/* The function's network interface, the first by name; -ENOENT if it has none. */
int host_pci_netdev(
	const char *sysfs, const struct pci_addr *addr, char ret_netdev[static IFNAMSIZ]);

/* True for a function that can have VFs. */
bool host_pci_is_pf(const char *sysfs, const struct pci_addr *addr);

/* The PF of a VF; a negative errno if the function is none. */
int host_pci_physfn(const char *sysfs, const struct pci_addr *addr, struct pci_addr *ret_pf);

/* The VF at an address; -ENODEV if there is none now, -EINVAL if the function is not a VF. */
int host_vf_from_pci(
	const char *sysfs, const struct pci_addr *addr, struct host_vf *ret_vf, struct err *err);

/* VF `number` of a PF; -ENODEV if the PF does not have that VF now. */
int host_vf_of_pf(const char *sysfs, const struct pci_addr *pf, int number, struct host_vf *ret_vf,
	struct err *err);

/*
 * How often the link of a VF's PF has come up since the PF's interface was created; 0 if the PF has
 * no interface in the kernel, or the function is not a VF.
 */
unsigned host_vf_link_ups(const char *sysfs, const struct pci_addr *vf);

/*
 * The VFs of a PF, or of all PFs if `pf` is NULL, ordered by PF and number. The caller frees
 * *ret_vfs. It is no error if there are none.
 */
int host_vf_list(const char *sysfs, const struct pci_addr *pf, struct host_vf **ret_vfs,
	unsigned *ret_n, struct err *err);
