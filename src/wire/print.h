/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Prints any message, for people and programs. Pure apart from the output; any thread. */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

/* Fields with this number or above are extensions that the original clients do not know. */
#define PRINT_EXTENSIONS_FROM 100

/*
 * Prints protobuf's text format like Python's `print(message)`. Fields numbered
 * PRINT_EXTENSIONS_FROM or above are left out unless `extensions`.
 */
void print_protobuf(FILE *out, const ProtobufCMessage *message, bool extensions);

/*
 * Prints one JSON object: field names as in the .proto, absent optional fields left out. 0 or
 * -ENOMEM.
 */
int print_json(FILE *out, const ProtobufCMessage *message);

#define PRINT_FLOAT_SIZE 64

/* Formats a number as Python's repr() formats a float: "0.0", "1e+16", "12.5". */
void print_float(double value, char ret_text[static PRINT_FLOAT_SIZE]);
