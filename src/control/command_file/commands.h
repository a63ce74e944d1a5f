/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The text of a command file. */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct command {
	bool add; /* else delete */
	char netdev[IFNAMSIZ];
};

/*
 * Parses the commands `add_port <netdev>` and `del_port <netdev>`, one per line. Blank lines are
 * skipped; any other line makes the whole text invalid (-EINVAL). The caller frees *ret_commands.
 * Pure.
 */
int commands_parse(const char *text, size_t length, struct command **ret_commands, unsigned *ret_n,
	struct err *err);
