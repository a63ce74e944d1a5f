/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/err.h"
#include "config/config.h"
#include "host/vm_account.h"

/* As whom VMs run, by the configuration, whose the names remain. */
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
 * Makes the directory of the sockets, for who makes them, unless it is there: then it may be
 * others' as well, and is left as it is. Refuses (-EPERM) one that anybody can have made, and logs
 * a warning where VMs cannot use it. Control thread; may block while groups are looked up.
 */
int socket_dir_make(const struct config *config, struct err *err);
