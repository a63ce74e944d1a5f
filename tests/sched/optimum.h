/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>

/*
 * The least load that the most loaded of `n_workers` can have with these `n` loads: by branch and
 * bound, or a lower bound of it (and *ret_exact false) where that takes too long.
 */
double optimum(const double *loads, unsigned n, unsigned n_workers, bool *ret_exact);
