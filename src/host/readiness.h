/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Whether a host has what a configuration of the daemon needs: one finding for each thing looked
 * at, and what to do where it is not as it should be. `sysfs` is the tree's root ("/sys"), `dev`
 * that of the device files ("/dev"). Nothing here changes anything or blocks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu_set.h"
#include "base/device_id.h"
#include "host/vm_account.h"

enum host_verdict {
	HOST_OK,
	HOST_WARNING, /* works, but slower, less safely, or not after the next boot */
	HOST_MISSING, /* will not work */
};

/* What the daemon is to be run with. */
struct host_needs {
	const struct device_id *devices;
	unsigned n_devices;
	const char *bind_vfio_pci; /* as in VIRTIOFWD_BIND_VFIO_PCI, or NULL */
	bool vf_token;
	const struct cpu_set *worker_cpus;
	const char *huge_dir;      /* NULL: ordinary pages */
	bool same_numa;            /* hugepages of the workers' nodes only */
	uint64_t bytes;            /* of hugepages, without the devices', */
	uint64_t bytes_per_device; /* and those */
	bool running;              /* the daemon runs and has its memory already */
};

/* `check` names the thing ("hugepages"); `text` is a sentence, with the remedy. */
typedef void host_finding(
	void *userdata, const char *check, enum host_verdict verdict, const char *text);

void host_check_hugepages(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/* IOMMU and vfio-pci; only a warning where no device among the needs is to be VFIO's, and none is
 * to be bound to it. */
void host_check_vfio(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/* That each PCI device is there, bound or can be, and can be opened. */
void host_check_devices(const char *sysfs, const char *dev, const struct host_needs *needs,
	host_finding *report, void *userdata);

/* That nothing else runs on the workers' CPUs, and that they are on the devices' nodes. */
void host_check_cpus(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata);

/*
 * That VMs can use the sockets' directory, and that this process can make it where it is not there.
 * `optional`: sockets may be elsewhere, so that what is in the way is a warning.
 */
void host_check_socket_dir(const char *dir, const struct vm_account *vms, bool optional,
	host_finding *report, void *userdata);
