/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* config_load() on a given machine, for its unit test. */

#include "config/check.h"

/*
 * Like config_load(); with `before_start`, like config_load_before_start(). The output of --help,
 * --version and --check-config goes to stdout.
 */
int load_daemon(int argc, char **argv, const struct machine *machine, bool before_start,
	struct config **ret_config, struct err *err);
