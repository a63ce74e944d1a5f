/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/json_frame.h"

#include <errno.h>

static void in_string(struct json_frame *frame, char c)
{
	if (frame->escaped)
		frame->escaped = false;
	else if (c == '\\')
		frame->escaped = true;
	else if (c == '"')
		frame->in_string = false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int json_frame_scan(struct json_frame *frame, const char *text, size_t length, size_t *ret_used)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (frame->in_string) {
			in_string(frame, c);
		} else if (frame->depth == 0 && c != '{') {
			if (!is_space(c))
				return -EPROTO;
		} else if (c == '"') {
			frame->in_string = true;
		} else if (c == '{' || c == '[') {
			frame->depth++;
		} else if (c == '}' || c == ']') {
			if (--frame->depth == 0) {
				*ret_used = i + 1;
				return 1;
			}
		}
	}
	*ret_used = length;
	return 0;
}
