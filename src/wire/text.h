/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Strings of protobuf messages. proto2 says UTF-8, and a client in Python fails on anything else,
 * so one bad name that got in would take the whole stats answer from everybody.
 */

#include <stdbool.h>
#include <stddef.h>

/* True for UTF-8 without control characters (C0, DEL, C1). */
bool wire_text_valid(const char *text);

/* Copies `text` and puts '?' for each byte that wire_text_valid() objects to. Cuts at `size`. */
void wire_text_copy(char *ret_text, size_t size, const char *text);

/*
 * True where a length-delimited field of the message's outermost level with one of these numbers
 * holds a NUL byte: protobuf-c would silently end the string there. `data` may be any garbage.
 */
bool wire_has_nul(const void *data, size_t length, const unsigned *fields, size_t n_fields);
