/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Any message, for people and programs to read. Pure but for the output; any thread. */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

/* Fields from this number on are extensions, which the first clients do not know. */
#define PRINT_EXTENSIONS_FROM 100

/*
 * protobuf's text format as Python's `print(message)` writes it. Fields with numbers from
 * PRINT_EXTENSIONS_FROM on are left out unless `extensions`.
 */
void print_protobuf(FILE *out, const ProtobufCMessage *message, bool extensions);

/* One JSON object: field names as in the .proto, absent optional fields left out. 0 or -ENOMEM. */
int print_json(FILE *out, const ProtobufCMessage *message);

#define PRINT_FLOAT_SIZE 64

/* A number as Python's repr() writes a float: "0.0", "1e+16", "12.5". */
void print_float(double value, char ret_text[static PRINT_FLOAT_SIZE]);
