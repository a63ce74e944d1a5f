/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/numa.h"

#include <stdio.h>
#include <sys/vfs.h>

#include "host/pci.h"
#include "host/sysfs.h"

int host_numa_node_of_cpu(const char *sysfs, unsigned cpu)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/devices/system/cpu/cpu%u", sysfs, cpu);
	struct dirent *entry;
	int node = -1;

	while (dir && node < 0 && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "node%d", &node) != 1)
			node = -1;
	return node;
}

int host_numa_node_of_device(const char *sysfs, const struct device_id *id)
{
	return id->is_pci ? host_pci_numa_node(sysfs, &id->pci) : -1;
}

static bool has_pages(const char *sysfs, int node, long page_kib)
{
	int n;

	return sysfs_read_int(&n,
		       "%s/devices/system/node/node%d/hugepages/hugepages-%ldkB/nr_hugepages",
		       sysfs, node, page_kib) == 0 &&
	       n > 0;
}

struct numa_set host_numa_memory(
	const char *sysfs, const struct cpu_set *cpus, const char *huge_dir)
{
	struct numa_set all = {0}, with_pages = {0};
	struct statfs fs = {0};

	statfs(huge_dir, &fs);
	CPU_SET_FOR_EACH (cpu, cpus) {
		int node = host_numa_node_of_cpu(sysfs, (unsigned)cpu);

		numa_set_add(&all, node);
		if (has_pages(sysfs, node, fs.f_bsize / 1024))
			numa_set_add(&with_pages, node);
	}
	return with_pages.nodes != 0 ? with_pages : all;
}
