/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Opens /dev/null as standard input, output and error where the caller has closed them: else the
 * next files that are opened would get their numbers, and the log's lines, or be replaced by
 * /dev/null later. First thing in main().
 */
void standard_fds_open(void);
