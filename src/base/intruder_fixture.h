/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * For tests in which somebody else exchanges a file that was just made. To be included after
 * cmocka.h.
 */

#include <sys/stat.h>

#define SOMEBODY 4711 /* a user, and with the next number a group, other than ours */

/* Of the file itself, even if it is a link. */
static inline struct stat status_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

/* The user and group to which a new file is to be given. */
static inline uid_t new_owner(void)
{
	return geteuid() == 0 ? SOMEBODY : geteuid();
}

static inline gid_t new_group(void)
{
	return geteuid() == 0 ? SOMEBODY + 1 : getegid();
}
