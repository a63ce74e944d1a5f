/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd_link.h"

const char *directory_remedy(int code)
{
	if (code != EROFS)
		return "";
	/* A directory that was removed takes its exception from ProtectSystem=strict along. */
	return "; if this is the service, name the directory in ReadWritePaths= (systemctl edit) "
	       "and restart it, also if the directory was removed and made again meanwhile";
}

/* Without the slashes at its end, since with them open() and lstat() follow a link. */
static void copy_name(char ret_name[static PATH_MAX], const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	snprintf(ret_name, PATH_MAX, "%.*s", (int)length, path);
}

/*
 * Sets mode and owner of a directory that was just made, or removes it. By its descriptor: the name
 * may lead elsewhere by now. With O_PATH, since the umask may have left no permission to read it.
 */
static int set_access(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	_cleanup_close_ int fd = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (st.st_uid != geteuid()) /* somebody else's, so it stays */
			return -EPERM;
		if (fd_set_access(fd, mode, uid, gid) == 0)
			return 0;
	}
	int r = -errno;
	rmdir(name);
	return r;
}

int directory_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
	char name[PATH_MAX];
	struct stat st;

	copy_name(name, path);
	if (mkdir(name, mode) == 0) {
		int r = set_access(name, mode, uid, gid);
		return r == 0 ? 1
		              : err_set(err, -r,
					"directory %s: its mode and owner cannot be set: %s", path,
					strerror(-r));
	}
	if (errno != EEXIST)
		return err_set(err, errno, "directory %s cannot be made: %s%s", path,
			strerror(errno), directory_remedy(errno));
	if (stat(path, &st) < 0)
		return err_set(err, errno, "directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a directory", path);
	return 0;
}

static bool is_trusted(const struct stat *st, uid_t uid)
{
	return st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == uid;
}

/* True if nobody but trusted users can have made something in the directory. */
static bool is_made_by_trusted(const char *parent, uid_t uid)
{
	struct stat st;

	return stat(parent, &st) == 0 && is_trusted(&st, uid) && !(st.st_mode & S_IWOTH);
}

/* `parent` is the directory that it is in; NULL: no matter who can have made it. */
static int check_one(const char *kind, const char *path, const struct stat *st, const char *parent,
	uid_t uid, struct err *err)
{
	if (is_trusted(st, uid) || (parent != NULL && is_made_by_trusted(parent, uid)))
		return 0;
	return err_set(err, EPERM,
		"%s %s belongs to user %u, who can replace the sockets in it; remove it, give it "
		"to root, or use another directory",
		kind, path, st->st_uid);
}

static int check(const char *path, bool by_maker, uid_t uid, struct err *err)
{
	char name[PATH_MAX], parent[PATH_MAX];
	struct stat link, st;
	int r = 0;

	copy_name(name, path);
	if (lstat(name, &link) < 0 || stat(path, &st) < 0)
		return err_set(err, errno, "directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a directory", path);
	if (S_ISLNK(link.st_mode))
		r = check_one(
			"symbolic link", path, &link, by_maker ? dirname(name) : NULL, uid, err);
	if (r < 0)
		return r;
	snprintf(parent, sizeof(parent), "%s/..", path);
	return check_one("directory", path, &st, by_maker ? parent : NULL, uid, err);
}

int directory_check_owner(const char *path, struct err *err)
{
	return check(path, false, -1, err);
}

int directory_check_maker(const char *path, uid_t uid, struct err *err)
{
	return check(path, true, uid, err);
}
