/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/command_file/commands.h"

#include <errno.h>
#include <string.h>

#include "base/netdev_name.h"

#define BLANKS " \t\r"

/* Returns 1 for a command, 0 for a blank line, -EINVAL for anything else. Changes the line. */
static int parse_line(char *line, struct command *ret_command, struct err *err)
{
	char *rest = NULL, *verb = strtok_r(line, BLANKS, &rest), *netdev;

	if (!verb)
		return 0;
	netdev = strtok_r(NULL, BLANKS, &rest);
	if (!netdev || strtok_r(NULL, BLANKS, &rest) ||
		(strcmp(verb, "add_port") != 0 && strcmp(verb, "del_port") != 0))
		return err_set(err, EINVAL,
			"it is neither \"add_port <netdev>\" nor \"del_port <netdev>\"");
	if (!netdev_name_valid(netdev))
		return err_set(err, EINVAL, "\"%.32s\" can be no interface's name", netdev);
	ret_command->add = verb[0] == 'a';
	strcpy(ret_command->netdev, netdev);
	return 1;
}

int commands_parse(const char *text, size_t length, struct command **ret_commands, unsigned *ret_n,
	struct err *err)
{
	_cleanup_free_ char *copy = strndup(text, length);
	struct command *commands = calloc(length / 2 + 1, sizeof(*commands)); /* lines are longer */
	char *rest = copy, *line;
	unsigned n = 0, number = 0;
	int r = 0;

	if (!copy || !commands)
		r = err_set(err, ENOMEM, "out of memory");
	else if (strlen(copy) != length)
		r = err_set(err, EINVAL, "it holds a NUL byte");
	while (r >= 0 && (line = strsep(&rest, "\n"))) {
		number++;
		r = parse_line(line, &commands[n], err);
		if (r < 0)
			err_prefix(err, r, "line %u", number);
		else
			n += (unsigned)r;
	}
	if (r < 0) {
		free(commands);
		return r;
	}
	*ret_commands = commands;
	*ret_n = n;
	return 0;
}
