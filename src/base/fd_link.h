/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a descriptor is open on, by its link in /proc/self/fd. Any thread. */

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_LINK_SIZE 32

/* The path of the link. */
static inline void fd_link(int fd, char ret_link[static FD_LINK_SIZE])
{
	snprintf(ret_link, FD_LINK_SIZE, "/proc/self/fd/%d", fd);
}

/*
 * Sets mode, owner and group ((uid_t)-1, (gid_t)-1: as they are) of the file that a descriptor
 * opened with O_PATH stands for, wherever its name leads by now. The mode comes first, since it is
 * the owner's to change. 0, or -1 with errno.
 */
static inline int fd_set_access(int fd, mode_t mode, uid_t uid, gid_t gid)
{
	char link[FD_LINK_SIZE];

	fd_link(fd, link);
	return chmod(link, mode) < 0 ? -1 : fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}

/*
 * True if the link reads `name`: the path that was opened, or "anon_inode:[...]". The file itself
 * is not asked, so a file server (NFS, FUSE) that does not answer holds nobody up.
 */
static inline bool fd_is_on(int fd, const char *name)
{
	char link[FD_LINK_SIZE], target[PATH_MAX];

	fd_link(fd, link);
	ssize_t n = readlink(link, target, sizeof(target));
	return n == (ssize_t)strlen(name) && memcmp(target, name, n) == 0;
}
