/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>

/*
 * The command `vio4wd top`, also called virtioforwarder_monitor_load.py: load and rates, refreshed
 * until a signal or `q`. A client_main of bin/clients/clients.h.
 */
int top_main(int argc, char **argv, bool compatible);
