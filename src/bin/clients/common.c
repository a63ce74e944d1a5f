/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/clients/clients.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int client_fail(const char *program, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", program, err->text);
	return EXIT_REFUSED;
}

int client_parse_number(const char *text, unsigned long max, unsigned *ret_number)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || number > max)
		return -EINVAL;
	*ret_number = (unsigned)number;
	return 0;
}
