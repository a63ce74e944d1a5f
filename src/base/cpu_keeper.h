/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Keeps a thread on its one CPU. The kernel may take it off: up to Linux 6.1 if the cpuset of its
 * control group changes, or the cpuset controller is switched on above that; with any version if
 * the cpuset loses the CPU, or the CPU goes offline. It does not always put the thread back.
 */

#include <stdbool.h>
#include <sys/types.h>

#define CPU_KEEPER_QUIET 60 /* a loss is logged at most once in so many checks */

struct cpu_keeper {
	const char *who; /* the thread, for the log; must stay valid */
	unsigned cpu;
	/* The keeper's own; 0 at first. */
	bool is_away;   /* the log says that the thread cannot run on its CPU */
	unsigned quiet; /* checks until a loss may be logged again */
};

/*
 * To be called every second: puts the thread back if it may run anywhere else, and logs that. If
 * the CPU is not available, logs that once and tries again with each call. Any thread, but always
 * the same one.
 */
void cpu_keeper_check(struct cpu_keeper *keeper, pid_t thread);
