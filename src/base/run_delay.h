/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * How long a thread of this process could have run so far while its CPU ran something else: what
 * the kernel calls its run delay. Time that a hypervisor takes from the CPU is not in it. Returns
 * 0, or a negative errno with *ret_ns untouched: the kernel may not tell (CONFIG_SCHED_INFO). Any
 * thread; reads a file of /proc.
 */
int run_delay_ns(pid_t thread, uint64_t *ret_ns);
