/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_SIZE]; /* the arguments may point into err->text */
	va_list args;

	if (!err)
		return -code;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	memcpy(err->text, text, sizeof(text));
	return -code;
}

int err_prefix(struct err *err, int r, const char *fmt, ...)
{
	char text[2 * ERR_TEXT_SIZE + 2] = "";
	size_t length;
	va_list args;

	if (!err)
		return r;
	va_start(args, fmt);
	vsnprintf(text, ERR_TEXT_SIZE, fmt, args);
	va_end(args);
	length = strlen(text);
	snprintf(text + length, sizeof(text) - length, ": %s", err->text);
	memcpy(err->text, text, ERR_TEXT_SIZE - 1);
	err->text[ERR_TEXT_SIZE - 1] = '\0';
	return r;
}
