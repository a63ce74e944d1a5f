/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The account that VMs run as, according to the configuration. */
struct vm_account {
	const char *owner; /* a name or a number; so is `group` */
	const char *group;
	uid_t uid; /* of the owner; (uid_t)-1: unknown */
	gid_t gid;
	bool makes_sockets; /* VMs create the sockets (client mode) */
};

/*
 * True if this process is not root but runs as `owner`: it then owns the sockets itself, and VMs
 * share only `group` with it.
 */
bool vm_account_is_group(const struct vm_account *vms);

/*
 * Checks by owners and modes whether VMs can reach a directory and, if they create sockets, can do
 * that in it. Returns 0, also if the account is unknown; -ENOENT if only the directory itself is
 * missing; or another negative errno. err has the remedy. May block while groups are looked up. Any
 * thread, but one at a time.
 */
int vm_account_may_use(const struct vm_account *vms, const char *dir, struct err *err);

/*
 * Checks by owner and mode that VMs which do not create the sockets cannot replace those that the
 * daemon creates in a directory. Returns 0, also if the account is unknown or root, or there is no
 * such directory; or -EPERM; err has the remedy. May block and be called as above.
 */
int vm_account_cannot_replace(const struct vm_account *vms, const char *dir, struct err *err);
