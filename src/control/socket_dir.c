/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/socket_dir.h"

#include "base/directory.h"
#include "base/log.h"

int socket_dir_make(const struct config *config, struct err *err)
{
	const struct vm_account vms = socket_dir_account(config);
	const char *dir = config->socket_dir;
	bool of_group = vms.makes_sockets && vm_account_is_group(&vms);
	struct err reason;

	int made = directory_make(
		dir, of_group ? DIRECTORY_OF_GROUP : DIRECTORY_OF_OWNER, vms.uid, vms.gid, err);
	int r = made == 0 ? directory_check_owner(dir, vms.uid, err) : made;
	if (r < 0)
		return err_prefix(err, r, "sockets");
	if (vm_account_may_use(&vms, dir, &reason) < 0)
		log_warning("%s", reason.text);
	return 0;
}
