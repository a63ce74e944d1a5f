/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>

/* True for a name that the kernel accepts for an interface; such a name is safe in a path. */
bool netdev_name_valid(const char *name);
