/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Port control by a file. Its lines are the commands `add_port <netdev>` and `del_port <netdev>`.
 * The file is read once, unlinked, and its commands are executed; the relay id is the number of the
 * VF.
 *
 * The directory may be /tmp, where anybody can create files. So a file is accepted only if it is a
 * small regular file that belongs to root or to the daemon's user, has a single name (no hard link)
 * and cannot be written by others. Anything else is left alone and a warning is logged. Symbolic
 * links are not followed, and pipes and devices do not block the daemon. Whoever may write an
 * accepted file is trusted like root.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/op.h"

struct command_file;

struct command_file_options {
	const char *path;  /* the directory must exist */
	const char *sysfs; /* the root of sysfs; NULL: /sys */
};

/*
 * Starts to watch for the file on the event loop of the control thread. A file that exists already
 * is taken when the loop runs. The options' strings must stay.
 */
int command_file_new(struct command_file **ret_file, sd_event *event,
	const struct command_file_options *options, op_apply *apply, void *userdata,
	struct err *err);
struct command_file *command_file_free(struct command_file *file);
