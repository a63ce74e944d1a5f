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
	char context[ERR_TEXT_SIZE];
	va_list args;

	if (!err)
		return r;
	va_start(args, fmt);
	vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	err_set(err, 0, "%s: %s", context, err->text);
	return r;
}
