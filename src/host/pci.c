/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/pci.h"

#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/netdev_name.h"
#include "base/number.h"
#include "host/sysfs.h"

#define FUNCTION "%s/bus/pci/devices/%s"

/* As many capabilities as a configuration space has room for; their list might be a circle. */
#define CAPABILITIES_MAX ((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / PCI_CAP_SIZEOF)

static const char *text_of(const struct pci_addr *addr, char ret_text[static PCI_ADDR_TEXT_SIZE])
{
	pci_addr_format(addr, ret_text);
	return ret_text;
}

int host_pci_driver(
	const char *sysfs, const struct pci_addr *addr, char ret_driver[static HOST_DRIVER_SIZE])
{
	char text[PCI_ADDR_TEXT_SIZE];
	int r;

	r = sysfs_link_name(
		ret_driver, HOST_DRIVER_SIZE, FUNCTION "/driver", sysfs, text_of(addr, text));
	if (r == -ENOENT && !sysfs_exists(FUNCTION, sysfs, text))
		return -ENODEV;
	return r;
}

uint64_t host_pci_incarnation(const char *sysfs, const struct pci_addr *addr)
{
	char text[PCI_ADDR_TEXT_SIZE], path[PATH_MAX];
	struct stat st;

	/* Sysfs gives each directory that it creates a new inode number. */
	snprintf(path, sizeof(path), FUNCTION, sysfs, text_of(addr, text));
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

int host_pci_numa_node(const char *sysfs, const struct pci_addr *addr)
{
	char text[PCI_ADDR_TEXT_SIZE];
	int node;

	if (sysfs_read_int(&node, FUNCTION "/numa_node", sysfs, text_of(addr, text)) < 0 ||
		node < 0)
		return -1;
	return node;
}

int host_pci_iommu_group(const char *sysfs, const struct pci_addr *addr)
{
	char text[PCI_ADDR_TEXT_SIZE], name[16];
	unsigned group;

	if (sysfs_link_name(
		    name, sizeof(name), FUNCTION "/iommu_group", sysfs, text_of(addr, text)) < 0)
		return -ENOENT;
	return number_parse(name, INT_MAX, &group) < 0 ? -ENOENT : (int)group;
}

unsigned host_pci_msix_vectors(const char *sysfs, const struct pci_addr *addr)
{
	uint8_t config[PCI_CFG_SPACE_SIZE] = {0};
	char text[PCI_ADDR_TEXT_SIZE];

	sysfs_read_bytes(config, sizeof(config), FUNCTION "/config", sysfs, text_of(addr, text));
	unsigned at = config[PCI_CAPABILITY_LIST] & ~3U;
	for (unsigned i = 0; i < CAPABILITIES_MAX && at >= PCI_STD_HEADER_SIZEOF; i++) {
		if (config[at + PCI_CAP_LIST_ID] == PCI_CAP_ID_MSIX)
			return 1 + ((config[at + PCI_MSIX_FLAGS] | config[at + PCI_MSIX_FLAGS + 1]
									   << 8) &
					   PCI_MSIX_FLAGS_QSIZE);
		at = config[at + PCI_CAP_LIST_NEXT] & ~3U;
	}
	return 0;
}

int host_pci_netdev(
	const char *sysfs, const struct pci_addr *addr, char ret_netdev[static IFNAMSIZ])
{
	char text[PCI_ADDR_TEXT_SIZE], name[IFNAMSIZ];
	_cleanup_closedir_ DIR *dir = sysfs_opendir(FUNCTION "/net", sysfs, text_of(addr, text));
	const char *first = NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (netdev_name_valid(entry->d_name) &&
			(!first || strcmp(entry->d_name, first) < 0))
			first = strcpy(name, entry->d_name);
	if (!first)
		return -ENOENT;
	strcpy(ret_netdev, name);
	return 0;
}

bool host_pci_is_pf(const char *sysfs, const struct pci_addr *addr)
{
	char text[PCI_ADDR_TEXT_SIZE];

	return sysfs_exists(FUNCTION "/sriov_numvfs", sysfs, text_of(addr, text));
}

int host_vf_of_pf(const char *sysfs, const struct pci_addr *pf, int number, struct host_vf *ret_vf,
	struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE];
	struct host_vf vf = {.pf = *pf, .number = number};

	if (sysfs_link_pci(&vf.addr, FUNCTION "/virtfn%d", sysfs, text_of(pf, text), number) < 0)
		return err_set(err, ENODEV,
			"%s has no VF %d (yet); VFs are made by its sriov_numvfs", text, number);
	*ret_vf = vf;
	return 0;
}

/*
 * Calls `each` for the VFs of one PF, in no particular order, until it returns non-zero. Goes by
 * the links, since they appear before sriov_numvfs changes.
 */
static int for_each_vf(const char *sysfs, const struct pci_addr *pf,
	int (*each)(const struct host_vf *vf, void *userdata), void *userdata)
{
	char text[PCI_ADDR_TEXT_SIZE], end;
	_cleanup_closedir_ DIR *dir = sysfs_opendir(FUNCTION, sysfs, text_of(pf, text));
	struct dirent *entry;
	struct host_vf vf;
	int number, r = 0;

	while (dir && r == 0 && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "virtfn%d%c", &number, &end) == 1 &&
			host_vf_of_pf(sysfs, pf, number, &vf, NULL) == 0)
			r = each(&vf, userdata);
	return r;
}

static int is_wanted(const struct host_vf *vf, void *userdata)
{
	struct host_vf *wanted = userdata;

	if (!pci_addr_equal(&vf->addr, &wanted->addr))
		return 0;
	*wanted = *vf;
	return 1;
}

int host_pci_physfn(const char *sysfs, const struct pci_addr *addr, struct pci_addr *ret_pf)
{
	char text[PCI_ADDR_TEXT_SIZE];

	return sysfs_link_pci(ret_pf, FUNCTION "/physfn", sysfs, text_of(addr, text));
}

int host_vf_from_pci(
	const char *sysfs, const struct pci_addr *addr, struct host_vf *ret_vf, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE], pf_text[PCI_ADDR_TEXT_SIZE];
	struct host_vf vf = {.addr = *addr};

	text_of(addr, text);
	if (!sysfs_exists(FUNCTION, sysfs, text))
		return err_set(err, ENODEV, "there is no PCI device %s (yet)", text);
	if (host_pci_physfn(sysfs, addr, &vf.pf) < 0)
		return err_set(err, EINVAL, "%s is no VF of a PF of this host", text);
	if (for_each_vf(sysfs, &vf.pf, is_wanted, &vf) == 0)
		return err_set(err, ENODEV, "no link virtfnN of %s leads to its VF %s (yet)",
			text_of(&vf.pf, pf_text), text);
	*ret_vf = vf;
	return 0;
}

unsigned host_vf_link_ups(const char *sysfs, const struct pci_addr *vf)
{
	char netdev[IFNAMSIZ];
	struct pci_addr pf;
	int n;

	if (host_pci_physfn(sysfs, vf, &pf) < 0 || host_pci_netdev(sysfs, &pf, netdev) < 0 ||
		sysfs_read_int(&n, "%s/class/net/%s/carrier_up_count", sysfs, netdev) < 0)
		return 0;
	return (unsigned)n;
}

struct vf_array {
	struct host_vf *vfs;
	unsigned n;
};

static int append(const struct host_vf *vf, void *userdata)
{
	struct vf_array *array = userdata;
	struct host_vf *vfs = reallocarray(array->vfs, array->n + 1, sizeof(*vfs));

	if (!vfs)
		return -ENOMEM;
	vfs[array->n++] = *vf;
	array->vfs = vfs;
	return 0;
}

static int compare_vfs(const void *left, const void *right)
{
	const struct host_vf *a = left, *b = right;
	int r = pci_addr_compare(&a->pf, &b->pf);

	return r != 0 ? r : a->number - b->number;
}

static int list_all(const char *sysfs, struct vf_array *array)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/bus/pci/devices", sysfs);
	struct dirent *entry;
	struct pci_addr addr;
	int r = 0;

	while (dir && r >= 0 && (entry = readdir(dir)))
		if (pci_addr_parse(entry->d_name, &addr) == 0 && host_pci_is_pf(sysfs, &addr))
			r = for_each_vf(sysfs, &addr, append, array);
	return r;
}

int host_vf_list(const char *sysfs, const struct pci_addr *pf, struct host_vf **ret_vfs,
	unsigned *ret_n, struct err *err)
{
	struct vf_array array = {0};
	int r = pf ? for_each_vf(sysfs, pf, append, &array) : list_all(sysfs, &array);

	if (r < 0) {
		free(array.vfs);
		return err_set(err, -r, "out of memory");
	}
	if (array.n > 0)
		qsort(array.vfs, array.n, sizeof(*array.vfs), compare_vfs);
	*ret_vfs = array.vfs;
	*ret_n = array.n;
	return 0;
}
