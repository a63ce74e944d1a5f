/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * An error as a person reads it. A function that can fail for a reason that an operator must know
 * takes a `struct err *` as its last argument and returns a negative errno. It leaves one sentence
 * in the struct: what failed, which device or file, and what to do. The sentence is printed once,
 * by whoever handles the error; a function that passes the error on may put context in front of it.
 */

#include "base/util.h"

#define ERR_TEXT_SIZE 512

struct err {
	char text[ERR_TEXT_SIZE]; /* one sentence, no newline; "" if nothing was said */
};

/*
 * Stores the sentence and returns -code, so that `return err_set(err, EINVAL, "...")` is the usual
 * form. `code` is a positive errno. `err` may be NULL. A sentence that is too long is cut.
 */
int err_set(struct err *err, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "<context>: " in front of the sentence. `err` may be NULL. Returns `r`. */
int err_prefix(struct err *err, int r, const char *fmt, ...) _printf_(3, 4);
