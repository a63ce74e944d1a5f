/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/err.h"
#include "base/limits.h"
#include "host/bind.h"
#include "host/hugepages.h"
#include "host/numa.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/usable.h"

/* Where the findings of one check go. */
struct out {
	const char *check;
	host_finding *report;
	void *userdata;
};

_printf_(3, 4) static void say(
	const struct out *out, enum host_verdict verdict, const char *fmt, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	out->report(out->userdata, out->check, verdict, text);
}

/* True if the daemon binds the function to vfio-pci when it starts. */
static bool is_to_be_bound(
	const char *sysfs, const struct host_needs *needs, const struct pci_addr *addr)
{
	return needs->bind_vfio_pci != NULL &&
	       host_pci_driver_kind(sysfs, addr) != HOST_DRIVER_VFIO &&
	       host_bind_list_has(sysfs, needs->bind_vfio_pci, addr);
}

/*
 * True if any device is bound to vfio-pci or has no driver for DPDK yet, or if there is a list of
 * devices to bind.
 */
static bool needs_vfio(const char *sysfs, const struct host_needs *needs)
{
	if (needs->bind_vfio_pci != NULL)
		return true;
	for (unsigned i = 0; i < needs->n_devices; i++) {
		const struct pci_addr *addr = &needs->devices[i].pci;

		if (!needs->devices[i].is_pci)
			continue;
		enum host_driver_kind kind = host_pci_driver_kind(sysfs, addr);
		if (kind != HOST_DRIVER_UIO && kind != HOST_DRIVER_BIFURCATED)
			return true;
	}
	return false;
}

static bool is_empty(const char *sysfs, const char *directory)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/%s", sysfs, directory);
	struct dirent *entry;
	bool empty = true;

	while (dir && empty && (entry = readdir(dir)))
		empty = entry->d_name[0] == '.';
	return empty;
}

/* Reports what is free for more devices, on each node that does not have all of it. */
static void say_free(const struct out *out, const struct host_hugepages *pages)
{
	const int all = MAX(host_hugepages_free(pages, -1), 0);

	say(out, HOST_OK,
		"the running daemon has its own; %d of %" PRIu64 " KiB are free for more devices",
		all, pages->kib);
	for (int node = 0; node < NUMA_NODES_MAX; node++) {
		const int have = host_hugepages_free(pages, node);

		if (have >= 0 && have != all)
			say(out, HOST_OK, "%d of these are on NUMA node %d", have, node);
	}
}

static int pages_of(const struct host_hugepages *pages, uint64_t bytes)
{
	return (int)((bytes + pages->kib * 1024 - 1) / (pages->kib * 1024));
}

/* Checks the pages of a node (-1: of all nodes together) that has to provide so many bytes. */
static void check_pages(
	const struct out *out, const struct host_hugepages *pages, int node, uint64_t bytes)
{
	const int need = pages_of(pages, bytes);
	const int have = MAX(host_hugepages_free(pages, node), 0);
	char where[32] = "", folder[128] = "/sys/kernel/mm/hugepages";

	if (node >= 0) {
		snprintf(where, sizeof(where), " on NUMA node %d", node);
		snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%d/hugepages", node);
	}
	if (have >= need)
		say(out, HOST_OK, "%d of %" PRIu64 " KiB are free%s, %d are needed", have,
			pages->kib, where, need);
	else
		say(out, node < 0 ? HOST_MISSING : HOST_WARNING,
			"%d of %" PRIu64 " KiB are free%s, %d are needed: add %d to the number in "
			"%s/hugepages-%" PRIu64
			"kB/nr_hugepages, and at boot with hugepages= on the kernel's command line",
			have, pages->kib, where, need, need - have, folder, pages->kib);
}

/* Checks that the mount may have so many bytes. */
static void check_mount(
	const struct out *out, const struct host_hugepages *pages, const char *dir, uint64_t bytes)
{
	const int need = pages_of(pages, bytes);

	if (pages->allowed < need)
		say(out, HOST_MISSING,
			"the size= of the mount %s allows %d of %" PRIu64
			" KiB, %d are needed: mount it with more, or without size=",
			dir, pages->allowed, pages->kib, need);
}

void host_check_hugepages(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata)
{
	const struct out out = {"hugepages", report, userdata};
	uint64_t on_node[NUMA_NODES_MAX] = {0};
	struct host_hugepages pages = {.sysfs = sysfs};
	struct numa_set nodes = {0};
	struct statfs fs;

	if (needs->huge_dir == NULL) {
		say(&out, HOST_WARNING,
			"none are used (--no-huge): devices that need DMA do not work");
		return;
	}
	if (statfs(needs->huge_dir, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC) {
		say(&out, HOST_MISSING,
			"%s is no hugetlbfs: mount -t hugetlbfs none %s, or name another with "
			"VIRTIOFWD_HUGETLBFS_MOUNT_POINT (systemd's is /dev/hugepages)",
			needs->huge_dir, needs->huge_dir);
		return;
	}
	pages.kib = (uint64_t)fs.f_bsize / 1024;
	if (needs->running) {
		say_free(&out, &pages);
		return;
	}
	/* Read-only: that may be so only here, outside the service. */
	if (access(needs->huge_dir, W_OK | X_OK) < 0 && errno != EROFS) {
		say(&out, HOST_MISSING,
			"%s: %s; mount it for the daemon's user (mount -t hugetlbfs -o "
			"uid=USER,mode=0700 none %s)",
			needs->huge_dir, strerror(errno), needs->huge_dir);
		return;
	}
	host_hugepages_of_mount(&pages, needs->huge_dir);
	const uint64_t bytes = needs->bytes + needs->n_devices * DEVICE_MEMORY_BYTES;
	check_pages(&out, &pages, -1, bytes);
	check_mount(&out, &pages, needs->huge_dir, bytes);
	if (needs->same_numa) {
		nodes = host_numa_memory(sysfs, needs->worker_cpus, needs->huge_dir);
		on_node[numa_set_choose(nodes, -1)] = needs->bytes;
	}
	for (unsigned i = 0; i < needs->n_devices; i++) {
		int node =
			numa_set_choose(nodes, host_numa_node_of_device(sysfs, &needs->devices[i]));
		if (node >= 0 && node < NUMA_NODES_MAX)
			on_node[node] += DEVICE_MEMORY_BYTES;
	}
	for (int node = 0; node < NUMA_NODES_MAX; node++)
		if (on_node[node] > 0)
			check_pages(&out, &pages, node, on_node[node]);
}

void host_check_vfio(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata)
{
	const struct out iommu = {"iommu", report, userdata}, vfio = {"vfio", report, userdata};
	const bool no_iommu = host_vfio_allows_no_iommu(sysfs);

	if (!is_empty(sysfs, "class/iommu") && no_iommu)
		say(&iommu, HOST_WARNING,
			"on, but VFIO's no-IOMMU mode is allowed (enable_unsafe_noiommu_mode), so "
			"that devices are given physical addresses, and zero copy is not possible");
	else if (!is_empty(sysfs, "class/iommu"))
		say(&iommu, HOST_OK, "on");
	else if (no_iommu)
		say(&iommu, HOST_WARNING,
			"off, and VFIO does without (enable_unsafe_noiommu_mode): a device can "
			"write anywhere in memory");
	else
		say(&iommu, needs_vfio(sysfs, needs) ? HOST_MISSING : HOST_WARNING,
			"off: VFIO needs one; switch VT-d or AMD-Vi on in the firmware, and put "
			"intel_iommu=on iommu=pt (AMD: iommu=pt) on the kernel's command line");
	if (no_iommu && !needs->sees_physical_addresses)
		say(&iommu, HOST_WARNING,
			"devices of vfio-pci cannot be used: in the no-IOMMU mode they need "
			"physical addresses, and this user does not see them; only root does "
			"(CAP_SYS_ADMIN)");
	if (sysfs_exists("%s/bus/pci/drivers/vfio-pci", sysfs))
		say(&vfio, HOST_OK, "vfio-pci is loaded");
	else
		say(&vfio, HOST_WARNING,
			"vfio-pci is not loaded: the service loads it when it starts; without it, "
			"modprobe vfio-pci");
	if (sysfs_parameter_is_on(sysfs, "vfio_iommu_type1", "allow_unsafe_interrupts"))
		say(&vfio, HOST_WARNING,
			"allow_unsafe_interrupts is on: a VM's device can send interrupts that are "
			"not its own; needed only on machines without interrupt remapping");
}

/* Reports on a device or an entry of VIRTIOFWD_BIND_VFIO_PCI. */
static void say_bound(void *userdata, const char *name, int r, const struct err *err)
{
	const struct out *out = userdata;

	if (r < 0)
		say(out, HOST_MISSING, "VIRTIOFWD_BIND_VFIO_PCI: %s", err->text);
	else
		say(out, HOST_OK, "%s is bound to vfio-pci%s", name,
			r > 0 ? " when the daemon starts" : "");
}

/*
 * Reports the devices that the running daemon does not have: those that the kernel has. The others
 * are in use, as they should be, so there is nothing to try.
 */
static void check_lost_devices(const struct out *out, const char *sysfs, const char *dev,
	const struct host_needs *needs, const struct host_use *use)
{
	bool all = true;

	for (unsigned i = 0; i < needs->n_devices; i++) {
		const struct device_id *id = &needs->devices[i];
		enum host_driver_kind kind = host_pci_driver_kind(sysfs, &id->pci);
		struct err err;

		if (!id->is_pci || (kind != HOST_DRIVER_NONE && kind != HOST_DRIVER_KEEPS) ||
			host_pci_usable(sysfs, dev, &id->pci, use, &err) == 0)
			continue;
		say(out, HOST_MISSING, "%s", err.text);
		all = false;
	}
	if (all)
		say(out, HOST_OK, "the running daemon has them");
}

void host_check_devices(const char *sysfs, const char *dev, const struct host_needs *needs,
	host_finding *report, void *userdata)
{
	struct out out = {"devices", report, userdata};
	const struct host_use use = {
		.physical_addresses = needs->huge_dir != NULL &&
	                              host_needs_physical_addresses(sysfs) &&
	                              needs->sees_physical_addresses,
		.vf_token = needs->vf_token,
	};

	if (needs->running) {
		check_lost_devices(&out, sysfs, dev, needs, &use);
		return;
	}
	if (needs->bind_vfio_pci != NULL)
		host_bind_foresee(sysfs, needs->bind_vfio_pci, say_bound, &out);
	for (unsigned i = 0; i < needs->n_devices; i++) {
		const struct device_id *id = &needs->devices[i];
		struct err err = {""};

		if (!id->is_pci)
			say(&out, HOST_OK, "%s is no PCI device and not looked at", id->text);
		else if (is_to_be_bound(sysfs, needs, &id->pci))
			continue; /* reported already */
		else if (host_pci_usable(sysfs, dev, &id->pci, &use, &err) == 0)
			say(&out, HOST_OK, "%s can be used", id->text);
		else
			say(&out, HOST_MISSING, "%s", err.text);
	}
	if (needs->n_devices == 0 && needs->bind_vfio_pci == NULL)
		say(&out, HOST_OK, "none is configured; vio4wd vf lists the VFs of this host");
}

/* Finds the workers' CPUs that are not among those listed; true if there are any. */
static bool outside(
	const struct cpu_set *workers, const struct cpu_set *listed, char *ret_text, unsigned size)
{
	struct cpu_set missing = {0};

	CPU_SET_FOR_EACH (c, workers)
		if (!cpu_set_has(listed, (unsigned)c))
			cpu_set_add(&missing, (unsigned)c);
	cpu_set_format(&missing, ret_text, size);
	return cpu_set_count(&missing) > 0;
}

/* Reports workers that are not on the node of a device. */
static void check_nodes(const struct out *out, const char *sysfs, const struct host_needs *needs)
{
	char cpus[128], among[128], path[PATH_MAX];
	struct cpu_set local;

	for (unsigned i = 0; i < needs->n_devices; i++) {
		const struct device_id *id = &needs->devices[i];
		int node = host_numa_node_of_device(sysfs, id);

		snprintf(path, sizeof(path), "%s/devices/system/node/node%d/cpulist", sysfs, node);
		if (node < 0 || cpu_set_read(path, &local, NULL) < 0)
			continue;
		cpu_set_format(&local, among, sizeof(among));
		if (outside(needs->worker_cpus, &local, cpus, sizeof(cpus)))
			say(out, HOST_WARNING,
				"worker CPUs %s are not on NUMA node %d, where device %s is: "
				"choose VIRTIOFWD_CPU_MASK among %s",
				cpus, node, id->text, among);
	}
}

void host_check_cpus(
	const char *sysfs, const struct host_needs *needs, host_finding *report, void *userdata)
{
	const struct out out = {"cpus", report, userdata};
	char cpus[320], path[PATH_MAX], governor[32];
	struct cpu_set isolated = {0};

	snprintf(path, sizeof(path), "%s/devices/system/cpu/isolated", sysfs);
	cpu_set_read(path, &isolated, NULL);
	if (outside(needs->worker_cpus, &isolated, cpus, sizeof(cpus)))
		say(&out, HOST_WARNING,
			"worker CPUs %s are not isolated, so that others interrupt them: put these "
			"into isolcpus=, nohz_full= and rcu_nocbs= on the kernel's command line",
			cpus);
	else
		say(&out, HOST_OK, "the workers' are isolated");
	CPU_SET_FOR_EACH (c, needs->worker_cpus)
		if (sysfs_read(governor, sizeof(governor),
			    "%s/devices/system/cpu/cpu%d/cpufreq/scaling_governor", sysfs,
			    c) == 0 &&
			strcmp(governor, "performance") != 0)
			say(&out, HOST_WARNING,
				"CPU %d has the governor %s: cpupower -c %d frequency-set -g "
				"performance",
				c, governor, c);
	check_nodes(&out, sysfs, needs);
}

/* Checks that this process can create the directory in its parent. */
static int check_makeable(const char *dir, struct err *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", dir);
	const char *above = dirname(copy);
	if (faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return err_set(err, errno, "socket directory %s cannot be made in %s: %s", dir, above,
		strerror(errno));
}

void host_check_socket_dir(const char *dir, const struct vm_account *vms, bool optional,
	bool running, host_finding *report, void *userdata)
{
	const struct out out = {"sockets", report, userdata};
	struct err err;

	int r = vm_account_may_use(vms, dir, &err);
	const bool made = r == 0;
	if (r == 0)
		r = directory_check_maker(dir, vms->uid, &err);
	else if (r == -ENOENT && running)
		err_set(&err, ENOENT, "socket directory %s has gone while the daemon runs%s", dir,
			optional ? ": make it again"
				 : ", which makes it again, or its log says why not");
	else if (r == -ENOENT)
		r = check_makeable(dir, &err);
	if (r < 0)
		say(&out, optional ? HOST_WARNING : HOST_MISSING, "%s", err.text);
	else if (vms->uid == (uid_t)-1)
		say(&out, HOST_WARNING,
			"there is no user %s, so that only root is sure to have them: name QEMU's "
			"with VIRTIOFWD_SOCKET_OWNER (on RHEL qemu)",
			vms->owner);
	else if (!optional && vm_account_cannot_replace(vms, dir, &err) < 0)
		say(&out, HOST_WARNING, "%s", err.text);
	else
		say(&out, HOST_OK, "%s %s %s", dir, made ? "can be used by" : "is made for",
			vms->owner);
}
