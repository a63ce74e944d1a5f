/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>

/*
 * The lowest load that the most loaded of `n_workers` can have with these `n` loads, by branch and
 * bound. If that takes too long: a lower bound of it, with *ret_exact false.
 */
double optimum(const double *loads, unsigned n, unsigned n_workers, bool *ret_exact);
