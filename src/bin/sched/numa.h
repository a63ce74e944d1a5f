/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The NUMA node of a CPU of this machine, -1 where there are no nodes. Reads sysfs. */
int numa_node_of_cpu(unsigned cpu);
