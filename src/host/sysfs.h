/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Single attributes and links below a sysfs tree. Each takes the path as a format. Nothing here
 * waits, except where the kernel makes a writer wait (unbinding a driver).
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/pci_addr.h"
#include "base/util.h"

#define SYSFS_ROOT "/sys"

/* The attribute's text without the white space at its end. Returns 0 or a negative errno. */
int sysfs_read(char *ret_text, size_t size, const char *fmt, ...) _printf_(3, 4);

/* A decimal attribute; -EINVAL where it is none. */
int sysfs_read_int(int *ret_value, const char *fmt, ...) _printf_(2, 3);

/* The last part of a link's target ("driver" -> "vfio-pci"). */
int sysfs_link_name(char *ret_name, size_t size, const char *fmt, ...) _printf_(3, 4);

/* The PCI function that a link leads to; -ENODEV where it leads to something else. */
int sysfs_link_pci(struct pci_addr *ret_addr, const char *fmt, ...) _printf_(2, 3);

bool sysfs_exists(const char *fmt, ...) _printf_(1, 2);

/* 0 where this process may write the attribute, or a negative errno. */
int sysfs_may_write(const char *fmt, ...) _printf_(1, 2);

/* Writes the whole text by one write(), as an attribute wants it. */
int sysfs_write(const char *text, const char *fmt, ...) _printf_(2, 3);

/* A name that the kernel could have given an interface, so one that is safe in a path. */
bool sysfs_netdev_name_valid(const char *name);
