/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/sysfs_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define require(condition)                  \
	do {                                \
		if (!(condition)) {         \
			perror(#condition); \
			abort();            \
		}                           \
	} while (0)

static const char *in_tree(
	const struct fake_sysfs *fs, const char *path, char ret_path[static PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/%s", fs->root, path);
	return ret_path;
}

static void make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		require(mkdir(part, 0755) == 0 || errno == EEXIST);
	}
}

void fake_sysfs_init(struct fake_sysfs *fs)
{
	static const char *const drivers[] = {"igbvf", "mlx5_core", "nfp", "vfio-pci"};
	char path[PATH_MAX];

	strcpy(fs->base, "/tmp/fake-sysfs-XXXXXX");
	require(mkdtemp(fs->base));
	snprintf(fs->root, sizeof(fs->root), "%s/sys", fs->base);
	snprintf(path, sizeof(path), "%s/run", fs->base);
	require(mkdir(path, 0755) == 0);
	fake_sysfs_set(fs, "bus/pci/drivers_probe", "%s", "");
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(path, sizeof(path), "bus/pci/drivers/%s/unbind", drivers[i]);
		fake_sysfs_set(fs, path, "%s", "");
	}
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	return remove(path);
}

void fake_sysfs_fini(struct fake_sysfs *fs)
{
	require(nftw(fs->base, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void fake_sysfs_remove(struct fake_sysfs *fs, const char *path)
{
	char full[PATH_MAX];

	require(nftw(in_tree(fs, path, full), remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void fake_sysfs_set(struct fake_sysfs *fs, const char *path, const char *fmt, ...)
{
	char full[PATH_MAX];
	va_list args;
	FILE *file;

	make_parents(in_tree(fs, path, full));
	file = fopen(full, "w");
	require(file);
	va_start(args, fmt);
	vfprintf(file, fmt, args);
	va_end(args);
	fputc('\n', file);
	require(fclose(file) == 0);
}

void fake_sysfs_config(struct fake_sysfs *fs, const char *addr, const uint8_t *config, size_t size)
{
	char path[128], full[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "devices/pci0000:00/%s/config", addr);
	file = fopen(in_tree(fs, path, full), "w");
	require(file);
	require(fwrite(config, 1, size, file) == size);
	require(fclose(file) == 0);
}

void fake_sysfs_link(struct fake_sysfs *fs, const char *path, const char *target)
{
	char full[PATH_MAX], full_target[PATH_MAX];

	make_parents(in_tree(fs, path, full));
	require(symlink(in_tree(fs, target, full_target), full) == 0);
}

void fake_sysfs_pci(struct fake_sysfs *fs, const char *addr, const char *driver, int iommu_group)
{
	char device[64], path[128], target[128];

	snprintf(device, sizeof(device), "devices/pci0000:00/%s", addr);
	snprintf(path, sizeof(path), "%s/numa_node", device);
	fake_sysfs_set(fs, path, "-1");
	snprintf(path, sizeof(path), "%s/driver_override", device);
	fake_sysfs_set(fs, path, "(null)");
	snprintf(path, sizeof(path), "bus/pci/devices/%s", addr);
	fake_sysfs_link(fs, path, device);
	if (driver[0]) {
		snprintf(path, sizeof(path), "%s/driver", device);
		snprintf(target, sizeof(target), "bus/pci/drivers/%s", driver);
		fake_sysfs_link(fs, path, target);
	}
	if (iommu_group >= 0) {
		snprintf(path, sizeof(path), "%s/iommu_group", device);
		snprintf(target, sizeof(target), "kernel/iommu_groups/%d", iommu_group);
		fake_sysfs_link(fs, path, target);
	}
}

void fake_sysfs_vf(struct fake_sysfs *fs, const char *pf, const char *vf, int number)
{
	char path[128], pf_device[64], vf_device[64];

	snprintf(pf_device, sizeof(pf_device), "devices/pci0000:00/%s", pf);
	snprintf(vf_device, sizeof(vf_device), "devices/pci0000:00/%s", vf);
	snprintf(path, sizeof(path), "%s/sriov_numvfs", pf_device);
	fake_sysfs_set(fs, path, "%d", number + 1);
	snprintf(path, sizeof(path), "%s/virtfn%d", pf_device, number);
	fake_sysfs_link(fs, path, vf_device);
	snprintf(path, sizeof(path), "%s/physfn", vf_device);
	fake_sysfs_link(fs, path, pf_device);
}

void fake_sysfs_netdev(struct fake_sysfs *fs, const char *name, const char *addr,
	const char *switch_id, const char *port_name)
{
	char device[128], path[256], target[256];

	if (addr)
		snprintf(device, sizeof(device), "devices/pci0000:00/%s/net/%s", addr, name);
	else
		snprintf(device, sizeof(device), "devices/virtual/net/%s", name);
	snprintf(path, sizeof(path), "%s/mtu", device);
	fake_sysfs_set(fs, path, "1500");
	snprintf(path, sizeof(path), "class/net/%s", name);
	fake_sysfs_link(fs, path, device);
	if (addr) {
		snprintf(path, sizeof(path), "%s/device", device);
		snprintf(target, sizeof(target), "devices/pci0000:00/%s", addr);
		fake_sysfs_link(fs, path, target);
	}
	if (switch_id) {
		snprintf(path, sizeof(path), "%s/phys_switch_id", device);
		fake_sysfs_set(fs, path, "%s", switch_id);
	}
	if (port_name) {
		snprintf(path, sizeof(path), "%s/phys_port_name", device);
		fake_sysfs_set(fs, path, "%s", port_name);
	}
}
