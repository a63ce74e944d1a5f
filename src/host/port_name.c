/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/port_name.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 65535

/* Parses a decimal number at *text and advances *text past it. */
static bool take_number(const char **text, int *ret_number)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	number = strtoul(*text, &end, 10);
	if (number > NUMBER_MAX)
		return false;
	*text = end;
	*ret_number = (int)number;
	return true;
}

int port_name_parse(const char *text, struct port_name *ret_name)
{
	struct port_name name = {.controller = -1, .pf = -1, .vf = -1};
	int port = -1;
	const struct {
		const char *word;
		int *number;
	} parts[] = {
		/* the longer word first: "pf" begins with "p" */
		{"pf", &name.pf},
		{"vf", &name.vf},
		{"p", &port},
		{"c", &name.controller},
		{"", &name.vf},
	};

	name.external = text[0] == 'c';
	while (*text) {
		size_t i = 0;

		while (strncmp(text, parts[i].word, strlen(parts[i].word)) != 0)
			i++;
		text += strlen(parts[i].word);
		if (*parts[i].number >= 0 || name.vf >= 0 || !take_number(&text, parts[i].number))
			return -EINVAL;
	}
	if (name.vf < 0)
		return -EINVAL;
	*ret_name = name;
	return 0;
}
