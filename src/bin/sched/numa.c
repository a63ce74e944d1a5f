/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/numa.h"

#include <dirent.h>
#include <stdio.h>

int numa_node_of_cpu(unsigned cpu)
{
	char path[64];
	int node = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", cpu);
	dir = opendir(path);
	if (!dir)
		return -1;
	for (struct dirent *entry; node < 0 && (entry = readdir(dir));)
		if (sscanf(entry->d_name, "node%d", &node) != 1)
			node = -1;
	closedir(dir);
	return node;
}
