/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#define DIRECTORY_OF_OWNER 0755 /* mode: only its owner changes what is in it */

/*
 * Mode of a directory for sockets of a group: all sockets belong to that group whatever the group
 * of their creator (setgid), and nobody can remove another's (sticky).
 */
#define DIRECTORY_OF_GROUP 03775

/*
 * What to do if nothing can be made in a directory, to be put behind strerror(code); "" if `code`
 * (a positive errno) says nothing about that. Any thread.
 */
const char *directory_remedy(int code);

/*
 * Makes one directory with this mode, whatever the umask, and this owner and group ((uid_t)-1,
 * (gid_t)-1: those of the process), unless it exists. If somebody puts another directory or a link
 * in its place meanwhile, that does not get them. 1 if it was made; 0 if it existed, and is left as
 * it is; or a negative errno, with an error that names it; then it is not left behind. Any thread.
 */
int directory_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err);

/*
 * Refuses (-EPERM) a directory for sockets that belongs neither to root nor to this process's user:
 * its owner, or the owner of a symbolic link to it, decides what the sockets in it are. -ENOTDIR,
 * -ENOENT or another error of stat() if there is none. Does not look at the directories above it.
 * Any thread.
 */
int directory_check_owner(const char *path, struct err *err);

/*
 * The same, but `uid` (-1: nobody) is trusted as well, and so is any owner if only these users
 * could have made the directory, which is not so in /tmp. Any thread.
 */
int directory_check_maker(const char *path, uid_t uid, struct err *err);
