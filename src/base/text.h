/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Text that others will read, whoever wrote it. protobuf and Prometheus demand UTF-8 and fail on
 * anything else: one bad name would cost everybody the whole answer.
 */

#include <stdbool.h>
#include <stddef.h>

/* True for UTF-8 without control characters (C0, DEL, C1). */
bool text_valid(const char *text);

/*
 * Copies `text` with '?' for each byte that text_valid() objects to. Cuts it at `size`, between
 * characters.
 */
void text_copy(char *ret_text, size_t size, const char *text);
