/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Opens /dev/null as standard input, output and error if the caller has closed them. Otherwise the
 * next files to be opened would get their numbers, and with them the log's lines, or be replaced by
 * /dev/null later. First thing in main().
 */
void standard_fds_open(void);
