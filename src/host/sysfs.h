/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Single attributes, links and directories of a sysfs tree; each function takes the path as a
 * format. Nothing here blocks, except writes for which the kernel makes the writer wait (unbinding
 * a driver).
 */

#include <dirent.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/pci_addr.h"
#include "base/util.h"

#define SYSFS_ROOT "/sys"

/* The attribute's text without trailing white space. Returns 0 or a negative errno. */
int sysfs_read(char *ret_text, size_t size, const char *fmt, ...) _printf_(3, 4);

/* A decimal attribute; -EINVAL if it is not a number. */
int sysfs_read_int(int *ret_value, const char *fmt, ...) _printf_(2, 3);

/* The first bytes of a binary attribute. Returns how many, or a negative errno. */
ssize_t sysfs_read_bytes(void *ret_bytes, size_t size, const char *fmt, ...) _printf_(3, 4);

/* The last part of a link's target ("driver" -> "vfio-pci"). */
int sysfs_link_name(char *ret_name, size_t size, const char *fmt, ...) _printf_(3, 4);

/* The PCI function that a link points to; -ENODEV if it points to something else. */
int sysfs_link_pci(struct pci_addr *ret_addr, const char *fmt, ...) _printf_(2, 3);

bool sysfs_exists(const char *fmt, ...) _printf_(1, 2);

/* True if a boolean parameter of a kernel module is on; false as well if there is no such one. */
bool sysfs_parameter_is_on(const char *sysfs, const char *module, const char *parameter);

/* A directory, which the caller closes; NULL if there is none. */
DIR *sysfs_opendir(const char *fmt, ...) _printf_(1, 2);

static inline void cleanup_closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_closedir_ _cleanup_(cleanup_closedirp)

/* 0 if this process may write the attribute, or a negative errno. */
int sysfs_may_write(const char *fmt, ...) _printf_(1, 2);

/* Writes the whole text with a single write(), as attributes require. */
int sysfs_write(const char *text, const char *fmt, ...) _printf_(2, 3);
