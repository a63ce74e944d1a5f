/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/vm_account.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/directory.h"

/* Permissions on a directory, as the mode bits for others. */
#define SEARCH 1
#define MAKE_FILES 3

bool vm_account_is_group(const struct vm_account *vms)
{
	return geteuid() != 0 && vms->uid == geteuid() && vms->gid != (gid_t)-1;
}

static bool are_in_group(const struct vm_account *vms, gid_t gid)
{
	gid_t groups[64];
	int n = ARRAY_SIZE(groups);

	if (gid == vms->gid)
		return true;
	const struct passwd *user = vm_account_is_group(vms) ? NULL : getpwuid(vms->uid);
	if (user == NULL)
		return false;
	getgrouplist(user->pw_name, user->pw_gid, groups, &n);
	for (int i = 0; i < MIN(n, (int)ARRAY_SIZE(groups)); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

static bool may(const struct vm_account *vms, const struct stat *st, unsigned bits)
{
	const bool others = (st->st_mode & bits) == bits;
	const bool group = (st->st_mode >> 3 & bits) == bits;

	if (vms->uid == 0 || vms->uid == (uid_t)-1)
		return true;
	if (vms->uid == st->st_uid && !vm_account_is_group(vms))
		return (st->st_mode >> 6 & bits) == bits;
	return group == others ? group : are_in_group(vms, st->st_gid) ? group : others;
}

static void describe(const struct vm_account *vms, char *ret_text, size_t size)
{
	if (vm_account_is_group(vms))
		snprintf(ret_text, size, "the group %s, as which VMs run (VIRTIOFWD_SOCKET_GROUP)",
			vms->group);
	else
		snprintf(
			ret_text, size, "%s, as whom VMs run (VIRTIOFWD_SOCKET_OWNER)", vms->owner);
}

/* `above`: the parent directory that keeps them out; NULL: it is `dir` itself. */
static int keeps_out(
	const struct vm_account *vms, const char *dir, const char *above, struct err *err)
{
	char who[128];

	describe(vms, who, sizeof(who));
	if (above != NULL)
		return err_set(err, EACCES, "socket directory %s: owner and mode of %s keep out %s",
			dir, above, who);
	if (!vms->makes_sockets)
		return err_set(err, EACCES,
			"socket directory %s: its owner and mode keep out %s: chmod a+x %s", dir,
			who, dir);
	if (vm_account_is_group(vms))
		return err_set(err, EACCES,
			"socket directory %s: its group and mode keep out %s: chgrp %s %s; chmod "
			"%o %s",
			dir, who, vms->group, dir, DIRECTORY_OF_GROUP, dir);
	return err_set(err, EACCES,
		"socket directory %s: its owner and mode keep out %s: chown %s %s", dir, who,
		vms->owner, dir);
}

int vm_account_may_use(const struct vm_account *vms, const char *dir, struct err *err)
{
	char part[PATH_MAX];
	struct stat st;
	bool last = false;

	for (const char *end = dir; !last;) {
		end += 1 + strcspn(end + 1, "/");
		last = end[strspn(end, "/")] == '\0';
		snprintf(part, sizeof(part), "%.*s", (int)(end - dir), dir);
		if (stat(part, &st) < 0 && last && errno == ENOENT)
			return err_set(err, ENOENT, "socket directory %s is not there", dir);
		if (stat(part, &st) < 0)
			return err_set(err, ENOTDIR, "socket directory %s: %s: %s%s", dir, part,
				strerror(errno), errno == ENOENT ? "; make it (mkdir -p)" : "");
		if (!S_ISDIR(st.st_mode))
			return err_set(
				err, ENOTDIR, "socket directory %s: %s is no directory", dir, part);
		if (!may(vms, &st, last && vms->makes_sockets ? MAKE_FILES : SEARCH))
			return keeps_out(vms, dir, last ? NULL : part, err);
	}
	return 0;
}

int vm_account_cannot_replace(const struct vm_account *vms, const char *dir, struct err *err)
{
	char who[128];
	struct stat st;

	if (vms->makes_sockets || vms->uid == 0 || vms->uid == (uid_t)-1 || stat(dir, &st) < 0 ||
		!may(vms, &st, MAKE_FILES))
		return 0;
	describe(vms, who, sizeof(who));
	return err_set(err, EPERM,
		"socket directory %s: %s, can put something else in place of the daemon's sockets, "
		"which can keep it from starting: let VIRTIOFWD_SOCKET_DIR be a directory that "
		"only the daemon can write to",
		dir, who);
}
