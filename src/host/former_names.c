/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/former_names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/netdev_name.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/usable.h"

#define DIRECTORY "run/virtio-forwarder"

/* Writes the path of something in the directory that sysfs is in. */
static void write_path(
	char ret_path[static PATH_MAX], const char *sysfs, const char *prefix, const char *name)
{
	const char *last = strrchr(sysfs, '/');
	size_t root = last != NULL ? (size_t)(last + 1 - sysfs) : 0;

	snprintf(ret_path, PATH_MAX, "%s", sysfs);
	snprintf(ret_path + root, PATH_MAX - root, "%s%s", prefix, name);
}

static void write_link_path(char ret_path[static PATH_MAX], const char *sysfs, const char *netdev)
{
	write_path(ret_path, sysfs, DIRECTORY "/netdev-", netdev);
}

/* Replaces the link that the name had. */
static int make_link(
	const char *sysfs, const char *netdev, const struct pci_addr *addr, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE], path[PATH_MAX], function[PATH_MAX];
	struct pci_addr other;

	if (host_former_name_find(sysfs, netdev, &other) == 0 && !pci_addr_equal(&other, addr)) {
		pci_addr_format(&other, text);
		return err_set(err, EEXIST, "%s had it, and is still bound", text);
	}
	write_path(path, sysfs, DIRECTORY, "");
	int r = directory_make(path, DIRECTORY_OF_OWNER, -1, -1, err);
	if (r < 0)
		return r;
	write_link_path(path, sysfs, netdev);
	pci_addr_format(addr, text);
	snprintf(function, sizeof(function), "%s/bus/pci/devices/%s", sysfs, text);
	unlink(path);
	if (symlink(function, path) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	return 0;
}

int host_former_name_remember(const char *sysfs, const struct pci_addr *addr, struct err *err)
{
	char netdev[IFNAMSIZ];
	struct host_vf vf;

	if (host_vf_from_pci(sysfs, addr, &vf, NULL) < 0 ||
		host_pci_netdev(sysfs, addr, netdev) < 0)
		return 0;
	int r = make_link(sysfs, netdev, addr, err);
	return r < 0 ? err_prefix(err, r, "its interface's name %s is not remembered", netdev) : 0;
}

/*
 * True if the link is root's or our own. The directory may belong to the account that a daemon runs
 * as without privileges, and whoever has that account can make links in it.
 */
static bool is_trusted(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}

int host_former_name_find(const char *sysfs, const char *netdev, struct pci_addr *ret_addr)
{
	char driver[HOST_DRIVER_SIZE], path[PATH_MAX];
	struct pci_addr addr;
	struct host_vf vf;

	write_link_path(path, sysfs, netdev);
	if (!netdev_name_valid(netdev) || !is_trusted(path) ||
		sysfs_link_pci(&addr, "%s", path) < 0 ||
		host_vf_from_pci(sysfs, &addr, &vf, NULL) < 0 ||
		host_pci_driver(sysfs, &addr, driver) < 0 || !host_driver_is_userspace(driver))
		return -ENOENT;
	*ret_addr = addr;
	return 0;
}
