/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Text that others will read, whoever has written it. protobuf and Prometheus say UTF-8, and fail
 * on anything else: one bad name that got in would take the whole answer from everybody.
 */

#include <stdbool.h>
#include <stddef.h>

/* True for UTF-8 without control characters (C0, DEL, C1). */
bool text_valid(const char *text);

/*
 * Copies `text` and puts '?' for each byte that text_valid() objects to. Cuts at `size`, between
 * characters.
 */
void text_copy(char *ret_text, size_t size, const char *text);
