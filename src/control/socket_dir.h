/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"
#include "config/config.h"
#include "host/vm_account.h"

/* The account that VMs run as, according to the configuration, which keeps owning the names. */
static inline struct vm_account socket_dir_account(const struct config *config)
{
	return (struct vm_account){
		.owner = config->socket_owner,
		.group = config->socket_group,
		.uid = config->socket_uid,
		.gid = config->socket_gid,
		.makes_sockets = config->vhost_client,
	};
}

/*
 * Creates the directory of the sockets, owned by the account that creates sockets in it: the VMs'
 * in client mode, else the daemon's. An existing directory is left as it is, since others may use
 * it too. Refuses (-EPERM) a directory that anybody could have created, and logs a warning if VMs
 * cannot use it, or can replace the daemon's sockets in it. Control thread; may block while groups
 * are looked up.
 */
int socket_dir_make(const struct config *config, struct err *err);

/*
 * Logs a warning if VMs cannot create the socket `path` of a relay in client mode: with dynamic
 * sockets, it may be in a directory that the daemon has made for itself. Control thread; may block
 * as above.
 */
void socket_dir_check_client(const struct config *config, unsigned relay_id, const char *path);
