/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Finds the ends of JSON objects in a byte stream without parsing them: a JSON-RPC peer sends
 * objects one after the other, with nothing or white space in between.
 */

#include <stdbool.h>
#include <stddef.h>

struct json_frame {
	unsigned depth; /* open braces and brackets; 0: between objects */
	bool in_string;
	bool escaped; /* the next character of the string is escaped */
};

/*
 * Continues the scan with `text` and stops behind the end of an object. Returns 1 if an object
 * ended, 0 if all `length` bytes were scanned without that, or -EPROTO if something other than an
 * object begins. *ret_used is the number of bytes scanned; it is not set with -EPROTO.
 */
int json_frame_scan(struct json_frame *frame, const char *text, size_t length, size_t *ret_used);
