/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What `vio4wd top` shows, as lines of text. */

#include <stdio.h>

#include "bin/sched/meter.h"

struct top_size {
	unsigned columns;
	unsigned rows; /* 0: any number */
};

/*
 * Prints the meter, which must have rates: a bar per worker, then the relays with a device or a VM,
 * busiest first, as many as fit. Every line ends with `end`.
 */
void top_view_print(FILE *out, const struct meter *meter, const struct cpu_set *workers,
	struct top_size size, const char *end);
