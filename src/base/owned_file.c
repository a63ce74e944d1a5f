/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/owned_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static int check(const struct stat *status, size_t size_max, struct err *err)
{
	if (!S_ISREG(status->st_mode))
		return err_set(err, EPERM, "it is no regular file");
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return err_set(err, EPERM, "it belongs neither to root nor to the daemon's user");
	if (status->st_mode & S_IWOTH)
		return err_set(err, EPERM, "everybody may write it");
	if ((status->st_mode & S_IWGRP) && status->st_gid != 0 && status->st_gid != getegid())
		return err_set(
			err, EPERM, "a group other than root's or the daemon's may write it");
	if (status->st_nlink > 1)
		return err_set(err, EPERM, "it has a second name (hard link)");
	if ((size_t)status->st_size > size_max)
		return err_set(err, EPERM, "it is longer than %zu bytes", size_max);
	return 0;
}

ssize_t owned_file_read(int directory_fd, const char *name, void *ret_data, size_t size_max,
	struct stat *ret_status, struct err *err)
{
	_cleanup_close_ int fd = openat(
		directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP ? err_set(err, ELOOP, "it is a symbolic link")
		                      : err_set(err, errno, "%s", strerror(errno));
	if (fstat(fd, ret_status) < 0)
		return err_set(err, errno, "%s", strerror(errno));
	int r = check(ret_status, size_max, err);
	if (r < 0)
		return r;
	ssize_t n = read(fd, ret_data, size_max + 1);
	if (n < 0)
		return err_set(err, errno, "%s", strerror(errno));
	if ((size_t)n > size_max)
		return err_set(err, EFBIG, "it grows");
	return n;
}
