/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What has failed is tried again: soon at first, then less and less often, since an attempt may
 * take seconds, or what it lacks may not come for hours.
 */

#include <stdbool.h>

#define ATTEMPTS_APART 32 /* checks, at most */

/*
 * `check`: how many checks there have been before, once a second. True for 0, 1, 2, 4, 8, ... and
 * for every multiple of ATTEMPTS_APART. Any thread.
 */
static inline bool attempt_is_due(unsigned check)
{
	return (check & (check - 1)) == 0 || check % ATTEMPTS_APART == 0;
}
