/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CPU_SET_MAX 1024 /* CPUs 0..1023 */

/* A set of CPU numbers. */
struct cpu_set {
	uint64_t words[CPU_SET_MAX / 64];
};

/*
 * Reads a list ("1,2", "1-3,8") or a mask ("0x6", of any length). An empty set, a repeated CPU, a
 * reversed range and a CPU outside 0..1023 are errors.
 */
int cpu_set_parse(const char *text, struct cpu_set *ret_set, struct err *err);

/*
 * Reads such a list from a file of the kernel's. Returns 0, -EIO if it holds something else (an
 * empty list, for instance), or another negative errno. `err` names the file.
 */
int cpu_set_read(const char *path, struct cpu_set *ret_set, struct err *err);

bool cpu_set_has(const struct cpu_set *set, unsigned cpu);
void cpu_set_add(struct cpu_set *set, unsigned cpu);
unsigned cpu_set_count(const struct cpu_set *set);

/* The first member that is >= cpu, or -1. */
int cpu_set_next(const struct cpu_set *set, unsigned cpu);

/* Declares `int cpu`, and goes through the members in ascending order. */
#define CPU_SET_FOR_EACH(cpu, set) \
	for (int cpu = cpu_set_next(set, 0); cpu >= 0; cpu = cpu_set_next(set, (unsigned)cpu + 1))

#define CPU_LIST_SIZE (5 * CPU_SET_MAX + 1) /* the longest list of them, with its NUL */

/* Writes the set as "1-3,8". If that is too long, "..." is in the place of the last CPUs. `size` is
 * at least 4. */
void cpu_set_format(const struct cpu_set *set, char *ret_text, unsigned size);
