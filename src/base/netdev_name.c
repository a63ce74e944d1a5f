/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/netdev_name.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

bool netdev_name_valid(const char *name)
{
	size_t length = strnlen(name, IFNAMSIZ);

	if (length == 0 || length >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || !isgraph((unsigned char)*name))
			return false;
	return true;
}
