/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/socket_dir.h"

#include <errno.h>
#include <string.h>

#include "base/directory.h"
#include "base/log.h"

int socket_dir_make(const struct config *config, struct err *err)
{
	const struct vm_account vms = socket_dir_account(config);
	const char *dir = config->socket_dir;
	bool of_group = vms.makes_sockets && vm_account_is_group(&vms);
	struct err reason;

	int made = directory_make(dir, of_group ? DIRECTORY_OF_GROUP : DIRECTORY_OF_OWNER, err);
	if (made < 0)
		return err_prefix(err, made, "sockets");
	if (made > 0 && chown(dir, vms.uid, vms.gid) < 0)
		return err_set(err, errno, "socket directory %s: %s", dir, strerror(errno));
	int r = made > 0 ? 0 : directory_check_owner(dir, vms.uid, err);
	if (r < 0)
		return err_prefix(err, r, "sockets");
	if (vm_account_may_use(&vms, dir, &reason) < 0)
		log_warning("%s", reason.text);
	return 0;
}
