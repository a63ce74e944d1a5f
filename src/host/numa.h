/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/cpu_set.h"
#include "base/device_id.h"
#include "base/numa.h"

/* The NUMA node of a CPU; -1 if there are no nodes. */
int host_numa_node_of_cpu(const char *sysfs, unsigned cpu);

/* The NUMA node of a device; -1 if unknown, which includes everything but PCI functions. */
int host_numa_node_of_device(const char *sysfs, const struct device_id *id);

/*
 * The nodes from which the workers on `cpus` can get local memory: those nodes of the CPUs that
 * have huge pages of the page size of the mount `huge_dir`. If none has any, all nodes of the CPUs,
 * so that the lack is reported. Never empty.
 */
struct numa_set host_numa_memory(
	const char *sysfs, const struct cpu_set *cpus, const char *huge_dir);
