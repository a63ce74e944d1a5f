/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The directory of the sockets, as the daemon makes it. In that of a group, sockets are of that
 * group whatever their maker's, and nobody can take another's away. */
#define DIRECTORY_OF_OWNER 0755
#define DIRECTORY_OF_GROUP 03775

/* As whom VMs run, by the configuration. */
struct vm_account {
	const char *owner; /* a name, or a number */
	const char *group;
	uid_t uid; /* of these; (uid_t)-1: not known */
	gid_t gid;
	bool makes_sockets; /* in client mode */
};

/* True where this process is not root: sockets are its own then, and the group is what VMs have in
 * common with it. */
bool vm_account_is_group(const struct vm_account *vms);

/*
 * Whether VMs can reach a directory and, where they make sockets, do that in it, by owners and
 * modes. 0, also where the account is not known; -ENOENT: all is well, but the directory itself is
 * not there; or another error, with the remedy. Looks groups up, which may block. Any thread, one
 * at a time.
 */
int vm_account_may_use(const struct vm_account *vms, const char *dir, struct err *err);
