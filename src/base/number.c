/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/number.h"

#include <errno.h>
#include <stdint.h>

int number_parse(const char *text, unsigned max, unsigned *ret_number)
{
	uint64_t number = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return -EINVAL;
	}
	*ret_number = (unsigned)number;
	return 0;
}
