/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdio.h>

#include "config/option.h"

/* --help and --version of a program. */
void help_print(FILE *out, enum program program);
void help_print_version(FILE *out, enum program program);

/* Writes `text` in lines of up to `width` columns; all lines but the first begin with `indent`. */
void help_wrap(FILE *out, const char *text, unsigned width, const char *indent);
