/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/*
 * Makes one directory of this mode, whatever the umask, unless there is one. 1 where it was made, 0
 * where it was there and is left as it is, or an error that names it. Any thread.
 */
int directory_make(const char *path, mode_t mode, struct err *err);
