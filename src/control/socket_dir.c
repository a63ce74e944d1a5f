/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/socket_dir.h"

#include <libgen.h>
#include <linux/limits.h>
#include <stdio.h>

#include "base/directory.h"
#include "base/log.h"

/* What the daemon makes sockets in is its own: who can write there can replace them. */
static int make(const char *dir, const struct vm_account *vms, struct err *err)
{
	if (!vms->makes_sockets)
		return directory_make(dir, DIRECTORY_OF_OWNER, -1, -1, err);
	return directory_make(dir,
		vm_account_is_group(vms) ? DIRECTORY_OF_GROUP : DIRECTORY_OF_OWNER, vms->uid,
		vms->gid, err);
}

int socket_dir_make(const struct config *config, struct err *err)
{
	const struct vm_account vms = socket_dir_account(config);
	const char *dir = config->socket_dir;
	struct err reason;

	int r = make(dir, &vms, err);
	if (r == 0)
		r = directory_check_maker(dir, vms.uid, err);
	if (r < 0)
		return err_prefix(err, r, "sockets");
	if (vm_account_may_use(&vms, dir, &reason) < 0 ||
		(!config->dynamic_sockets && vm_account_cannot_replace(&vms, dir, &reason) < 0))
		log_warning("%s", reason.text);
	return 0;
}

void socket_dir_check_client(const struct config *config, unsigned relay_id, const char *path)
{
	struct vm_account vms = socket_dir_account(config);
	char copy[PATH_MAX];
	struct err err;

	vms.makes_sockets = true;
	snprintf(copy, sizeof(copy), "%s", path);
	if (vm_account_may_use(&vms, dirname(copy), &err) < 0)
		log_event_at(LOG_WARNING,
			&(struct log_event){.relay = (int)relay_id, .socket = path}, "relay %u: %s",
			relay_id, err.text);
}
