/* SPDX-License-Identifier: BSD-3-Clause */

/* config-docs file > virtioforwarder; config-docs man TEMPLATE > PAGE */

#include <stdio.h>
#include <string.h>

#include "config/docs.h"

int main(int argc, char **argv)
{
	FILE *template;

	if (argc == 2 && strcmp(argv[1], "file") == 0) {
		docs_write_file(stdout);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "man") != 0) {
		fprintf(stderr, "usage: config-docs file | man TEMPLATE\n");
		return 2;
	}
	template = fopen(argv[2], "r");
	if (!template) {
		perror(argv[2]);
		return 1;
	}
	docs_write_man(template, stdout);
	fclose(template);
	return 0;
}
