/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel writes to sysfs, and the lists of devices that refer to it. The lines are a list
 * for binding, an interface, and the texts and link targets below (missing ones keep their initial
 * values).
 */
#include <errno.h>

#include "fuzz.h"
#include "host/bind.h"
#include "host/netdev.h"
#include "host/port_name.h"
#include "host/sysfs.h"
#include "host/sysfs_fixture.h"
#include "host/uevent.h"

#define PF "bus/pci/devices/0000:05:00.0"
#define VF "bus/pci/devices/0000:05:08.0"

static const struct {
	const char *path;
	bool link;
	const char *usual;
} entries[] = {
	{"class/net/rep0/phys_port_name", false, "pf0vf0"},
	{"class/net/rep0/phys_switch_id", false, "aa"},
	{"class/net/p0/phys_switch_id", false, "aa"},
	{PF "/sriov_numvfs", false, "2"},
	{PF "/numa_node", false, "0"},
	{PF "/virtfn0", true, "../0000:05:08.0"},
	{VF "/physfn", true, "../0000:05:00.0"},
	{VF "/driver", true, "../../drivers/igbvf"},
	{VF "/iommu_group", true, "../../../kernel/iommu_groups/7"},
};

static struct fake_sysfs sysfs;

static void remove_sysfs(void)
{
	fake_sysfs_fini(&sysfs);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fake_sysfs_init(&sysfs);
	atexit(remove_sysfs);
	fake_sysfs_pci(&sysfs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_pci(&sysfs, "0000:05:08.0", "igbvf", 7);
	fake_sysfs_pci(&sysfs, "0000:05:08.1", "igbvf", 8);
	fake_sysfs_vf(&sysfs, "0000:05:00.0", "0000:05:08.0", 0);
	fake_sysfs_vf(&sysfs, "0000:05:00.0", "0000:05:08.1", 1);
	fake_sysfs_netdev(&sysfs, "p0", "0000:05:00.0", "aa", "p0");
	fake_sysfs_netdev(&sysfs, "rep0", NULL, "aa", "pf0vf0");
	fake_sysfs_netdev(&sysfs, "vf1", "0000:05:08.1", NULL, NULL);
	return 0;
}

/* Directly in the tree, since a link may lead anywhere. */
static void set_entry(unsigned i, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", sysfs.root, entries[i].path);
	unlink(path);
	if (entries[i].link) {
		if (symlink(text, path) < 0)
			require(errno == ENOENT ||
				errno == ENAMETOOLONG); /* for "" and names that are too long */
		return;
	}
	FILE *file = fopen(path, "w");
	require(file);
	fputs(text, file);
	fclose(file);
}

static void check_vf(int r, const struct host_vf *vf, const struct err *err)
{
	require((r < 0) == (err->text[0] != '\0'));
	if (r < 0)
		return;
	require(vf->number >= 0 && pci_addr_valid(vf->addr.bus, vf->addr.slot, vf->addr.function));
}

static void ask_everything(const char *list, const char *netdev)
{
	const struct pci_addr pf = {0, 5, 0, 0}, vf_addr = {0, 5, 8, 0};
	char driver[HOST_DRIVER_SIZE], name[IFNAMSIZ];
	struct pci_addr *addrs = NULL;
	struct host_vf *vfs = NULL, vf;
	struct err err = {""};
	unsigned n = 0;
	int r = host_bind_parse(sysfs.root, list, &addrs, &n, &err);

	require((r < 0) == (err.text[0] != '\0'));
	free(addrs);
	err.text[0] = '\0';
	check_vf(host_vf_from_netdev(sysfs.root, netdev, &vf, &err), &vf, &err);
	err.text[0] = '\0';
	check_vf(host_vf_from_netdev(sysfs.root, "rep0", &vf, &err), &vf, &err);
	err.text[0] = '\0';
	check_vf(host_vf_from_pci(sysfs.root, &vf_addr, &vf, &err), &vf, &err);
	err.text[0] = '\0';
	check_vf(host_vf_of_pf(sysfs.root, &pf, 0, &vf, &err), &vf, &err);
	err.text[0] = '\0';
	r = host_vf_list(sysfs.root, NULL, &vfs, &n, &err);
	require((r < 0) == (err.text[0] != '\0'));
	free(vfs);
	host_pci_driver(sysfs.root, &vf_addr, driver);
	host_pci_netdev(sysfs.root, &pf, name);
	host_pci_numa_node(sysfs.root, &pf);
	host_pci_iommu_group(sysfs.root, &vf_addr);
	host_pci_is_pf(sysfs.root, &pf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	_cleanup_free_ char *list = input_line(&input), *netdev = input_line(&input);
	struct port_name port;

	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		_cleanup_free_ char *text = input.left > 0 ? input_line(&input) : NULL;

		set_entry(i, text ? text : entries[i].usual);
	}
	if (port_name_parse(list, &port) == 0)
		require(port.vf >= 0 && port.pf >= -1 && port.controller >= -1);
	ask_everything(list, netdev);
	host_uevent_parse((const char *)data, size);
	return 0;
}
