/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * True if one of these length-delimited fields, on the outermost level of the message, contains a
 * NUL byte; protobuf-c would silently end the string there. `data` may be any garbage.
 */
bool wire_has_nul(const void *data, size_t length, const unsigned *fields, size_t n_fields);
