/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A file that tells the daemon what to do, so only root and the daemon's user may have written it.
 */

#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Reads all of a file, which `name` names in the directory `directory_fd` (or AT_FDCWD), into
 * size_max + 1 bytes. Returns its length, with *ret_status; -ENOENT if there is none; another
 * negative errno, with the reason in err, if it cannot be read or must not be used: because of its
 * kind, owner or mode, or since it is longer than size_max bytes. Any thread; does not block on
 * what is no regular file.
 */
ssize_t owned_file_read(int directory_fd, const char *name, void *ret_data, size_t size_max,
	struct stat *ret_status, struct err *err);
