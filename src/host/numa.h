/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/cpu_set.h"
#include "base/device_id.h"
#include "base/numa.h"

/* The NUMA node of a CPU, -1 where there are no nodes. */
int host_numa_node_of_cpu(const char *sysfs, unsigned cpu);

/* The NUMA node of a device, -1 where it is not known, as of those that are no PCI function. */
int host_numa_node_of_device(const char *sysfs, const struct device_id *id);

/*
 * The nodes that memory near those CPUs can come from: theirs that have huge pages of the size of
 * the mount `huge_dir`; theirs where none has any, so that these are missed. Never empty.
 */
struct numa_set host_numa_memory(
	const char *sysfs, const struct cpu_set *cpus, const char *huge_dir);
