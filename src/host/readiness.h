/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Whether a host has what a configuration of the daemon needs. Each thing checked yields a finding,
 * with the remedy if it is not as it should be. `sysfs` is the root of the sysfs tree ("/sys"),
 * `dev` that of the device files ("/dev"). Nothing here changes anything, but a daemon that starts
 * at the same moment may be disturbed: see host_pci_usable() and host_hugepages_of_mount(). Only
 * host_check_socket_dir() may block, while groups are looked up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu_set.h"
#include "base/device_id.h"
#include "host/vm_account.h"

enum host_verdict {
	HOST_OK,
	HOST_WARNING, /* works, but more slowly, less safely, or not after the next boot */
	HOST_MISSING, /* will not work */
};

/* What the daemon is configured to use. */
struct host_needs {
	const struct device_id *devices;
	unsigned n_devices;
	const char *bind_vfio_pci; /* as in VIRTIOFWD_BIND_VFIO_PCI, or NULL */
	bool vf_token;
	const struct cpu_set *worker_cpus;
	const char *huge_dir;         /* NULL: ordinary pages */
	bool sees_physical_addresses; /* see usable.h */
	bool same_numa;               /* hugepages on the workers' nodes only */
	uint64_t bytes;               /* hugepages needed apart from the devices */
	bool running;                 /* the daemon runs and has its memory already */
};

/*
 * Reports a finding: `check` names the thing checked ("hugepages"); `text` is a sentence, with the
 * remedy.
 */
typedef void host_finding(
	void *userdata, const char *check, enum host_verdict verdict, const char *text);

void host_check_hugepages(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/*
 * Checks the IOMMU and vfio-pci. Reports only warnings if no device needs VFIO and none is to be
 * bound to it.
 */
void host_check_vfio(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/*
 * Checks that each PCI device exists, is bound or can be bound, and can be opened; of those that a
 * running daemon has, only the first two.
 */
void host_check_devices(const char *sysfs, const char *dev, const struct host_needs *needs,
	host_finding *report, void *userdata);

/*
 * Checks that nothing else runs on the workers' CPUs, and that these are on the devices' NUMA
 * nodes.
 */
void host_check_cpus(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/*
 * Checks that VMs can use the sockets' directory, or that this process can create it if it is
 * missing; warns if they can replace sockets that the daemon makes there. `optional`: sockets may
 * be elsewhere, so there is no such warning, and problems are only warnings. `running`: the daemon
 * has made the directory, so it should be there.
 */
void host_check_socket_dir(const char *dir, const struct vm_account *vms, bool optional,
	bool running, host_finding *report, void *userdata);
