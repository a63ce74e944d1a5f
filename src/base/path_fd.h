/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Sets mode, owner and group ((uid_t)-1, (gid_t)-1: as they are) of the file that a descriptor
 * opened with O_PATH stands for, wherever its name leads by now. The mode comes first, since it is
 * the owner's to change. 0, or -1 with errno. Any thread.
 */
static inline int path_fd_give(int fd, mode_t mode, uid_t uid, gid_t gid)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return chmod(link, mode) < 0 ? -1 : fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}
