/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/*
 * Makes one directory of this mode, whatever the umask, unless there is one. 1 where it was made, 0
 * where it was there and is left as it is, or an error that names it. Any thread.
 */
int directory_make(const char *path, mode_t mode, struct err *err);

/*
 * Refuses (-EPERM) a directory for VMs' sockets that anybody can have made, as in /tmp, before the
 * daemon did: who owns it, or a symbolic link to it, decides what the sockets in it are. Trusted
 * are root, this process's user and `uid` (-1: no more). Any thread.
 */
int directory_check_owner(const char *path, uid_t uid, struct err *err);
