/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Finds the ends of the JSON objects in a stream of them, byte by byte, without understanding them:
 * a JSON-RPC peer sends objects one after the other, with nothing or white space between.
 */

#include <stdbool.h>
#include <stddef.h>

struct json_frame {
	unsigned depth; /* of open braces and brackets; 0: between objects */
	bool in_string;
	bool escaped; /* the next character of the string means itself */
};

/*
 * Goes on through `text`, stops behind the end of an object. Returns 1 where one ended, 0 where all
 * `length` bytes belong to one that goes on (or lie between objects), -EPROTO where something else
 * than an object begins. *ret_used says how many bytes were gone through.
 */
int json_frame_scan(struct json_frame *frame, const char *text, size_t length, size_t *ret_used);
