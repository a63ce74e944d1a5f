/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* config_load() on a given machine, for its unit test. */

#include "config/check.h"

/* As config_load(); what --help, --version and --check-config say goes to stdout. */
int load_daemon(int argc, char **argv, const struct machine *machine, struct config **ret_config,
	struct err *err);
