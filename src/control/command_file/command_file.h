/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Port control by a file: whoever leaves `add_port <netdev>` or `del_port <netdev>` there, a
 * command a line, has it done. The file is read once and unlinked; the relay is the VF's number.
 *
 * The directory may be /tmp, where everybody can put files. So a file is taken only if it is a
 * regular file of root's or of the daemon's user, has no second name, cannot be written by others,
 * and is small; anything else is left alone, with a warning. Neither links are followed, nor do
 * pipes or devices block. Whoever may write the file in the end is trusted like root.
 */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "control/op.h"

#define COMMAND_FILE_DEFAULT "/tmp/vio_cmd"

struct command_file;

struct command_file_options {
	const char *path;  /* NULL: COMMAND_FILE_DEFAULT; its directory must be there */
	const char *sysfs; /* the root of sysfs; NULL: /sys */
};

/* Does the operation before it returns, and fills *ret_result. */
typedef void command_file_apply(void *userdata, const struct op *op, struct op_result *ret_result);

/*
 * Starts to watch for the file, on the event loop of the control thread; one that is there already
 * is taken when the loop runs. Strings are copied.
 */
int command_file_new(struct command_file **ret_file, sd_event *event,
	const struct command_file_options *options, command_file_apply *apply, void *userdata,
	struct err *err);
struct command_file *command_file_free(struct command_file *file);
