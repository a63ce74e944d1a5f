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
 * Reads `add_port <netdev>` and `del_port <netdev>`, a command a line; blank lines are skipped. All
 * lines must be good (-EINVAL). *ret_commands is the caller's to free.
 */
int commands_parse(const char *text, size_t length, struct command **ret_commands, unsigned *ret_n,
	struct err *err);
