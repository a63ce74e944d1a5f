/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of the command file. */
#include "base/netdev_name.h"
#include "control/command_file/commands.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command *commands = NULL;
	struct err err = {""};
	unsigned n = 0, lines = 1;
	int r = commands_parse((const char *)data, size, &commands, &n, &err);

	require((r < 0) == (err.text[0] != '\0') && (r == 0) == (commands != NULL));
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	require(n <= lines);
	for (unsigned i = 0; i < n; i++)
		require(netdev_name_valid(commands[i].netdev));
	free(commands);
	return 0;
}
