/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int directory_make(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) < 0)
			return err_set(err, errno, "directory %s: %s", path, strerror(errno));
		return 1;
	}
	if (errno != EEXIST)
		return err_set(
			err, errno, "directory %s cannot be made: %s", path, strerror(errno));
	if (stat(path, &st) < 0)
		return err_set(err, errno, "directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a directory", path);
	return 0;
}
