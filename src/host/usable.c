/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/usable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd_link.h"
#include "host/pci.h"
#include "host/sysfs.h"

#define BIND_REMEDY "bind it: vio4wd vf bind %s"
#define LOCKED_BYTES_MIN \
	(64ULL << 20) /* less is no limit that anybody has set for a DPDK program */

#define PAGE_FRAME ((1ULL << 55) - 1) /* its bits in an entry of pagemap */

static const char *const uio_drivers[] = {"igb_uio", "uio_pci_generic"};

enum host_driver_kind host_driver_kind(const char *driver)
{
	if (driver[0] == '\0')
		return HOST_DRIVER_NONE;
	if (strcmp(driver, "vfio-pci") == 0)
		return HOST_DRIVER_VFIO;
	if (strcmp(driver, "mlx4_core") == 0 || strcmp(driver, "mlx5_core") == 0)
		return HOST_DRIVER_BIFURCATED;
	for (unsigned i = 0; i < ARRAY_SIZE(uio_drivers); i++)
		if (strcmp(driver, uio_drivers[i]) == 0)
			return HOST_DRIVER_UIO;
	return HOST_DRIVER_KEEPS;
}

bool host_driver_is_userspace(const char *driver)
{
	enum host_driver_kind kind = host_driver_kind(driver);

	return kind == HOST_DRIVER_VFIO || kind == HOST_DRIVER_UIO;
}

enum host_driver_kind host_pci_driver_kind(const char *sysfs, const struct pci_addr *addr)
{
	char driver[HOST_DRIVER_SIZE] = "";

	host_pci_driver(sysfs, addr, driver);
	return host_driver_kind(driver);
}

/* 0 if the device names no interface, or there is none of this name. */
static unsigned interface_of(const struct device_id *id)
{
	const char *argument = strstr(id->text, ",iface=");
	char name[IFNAMSIZ] = "";

	if (argument)
		sscanf(argument, ",iface=%15[^,]", name);
	return if_nametoindex(name);
}

bool host_device_has_changed(
	const char *sysfs, const struct device_id *id, struct host_device_state *state)
{
	const struct host_device_state last = *state;

	if (id->is_pci) {
		state->incarnation = host_pci_incarnation(sysfs, &id->pci);
		state->driver = host_pci_driver_kind(sysfs, &id->pci);
	} else {
		state->interface = interface_of(id);
	}
	return state->incarnation != last.incarnation || state->driver != last.driver ||
	       state->interface != last.interface;
}

unsigned host_pci_interrupts(const char *sysfs, const struct pci_addr *addr)
{
	switch (host_pci_driver_kind(sysfs, addr)) {
	case HOST_DRIVER_VFIO:
		return host_pci_msix_vectors(sysfs, addr);
	case HOST_DRIVER_UIO:
		return 1;
	default:
		return 0;
	}
}

static bool has_function(const char *sysfs, const char *driver)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/bus/pci/drivers/%s", sysfs, driver);
	struct pci_addr addr;
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = pci_addr_parse(entry->d_name, &addr) == 0;
	return found;
}

bool host_vfio_allows_no_iommu(const char *sysfs)
{
	return sysfs_parameter_is_on(sysfs, "vfio", "enable_unsafe_noiommu_mode");
}

bool host_needs_physical_addresses(const char *sysfs)
{
	for (unsigned i = 0; i < ARRAY_SIZE(uio_drivers); i++)
		if (has_function(sysfs, uio_drivers[i]))
			return true;
	return host_vfio_allows_no_iommu(sysfs);
}

/* DPDK asks in the same way. The kernel shows page frame 0 for every page to those who may not. */
bool host_sees_physical_addresses(void)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t page = 0;
	const off_t offset = (off_t)((uintptr_t)&page / (uintptr_t)getpagesize() * sizeof(page));

	return fd >= 0 && pread(fd, &page, sizeof(page), offset) == sizeof(page) &&
	       (page & PAGE_FRAME) != 0;
}

static int check_driver(const char *sysfs, const struct pci_addr *addr, const char *text,
	char ret_driver[static HOST_DRIVER_SIZE], struct err *err)
{
	int r = host_pci_driver(sysfs, addr, ret_driver);

	if (r == -ENODEV)
		return err_set(err, ENODEV,
			"device %s is no PCI device of this host; lspci -D shows those there are",
			text);
	if (r < 0)
		return err_set(
			err, ENXIO, "device %s is bound to no driver; " BIND_REMEDY, text, text);
	if (host_driver_kind(ret_driver) == HOST_DRIVER_KEEPS)
		return err_set(err, ENXIO,
			"device %s is bound to the kernel's driver %s, which keeps it for the "
			"host; " BIND_REMEDY,
			text, ret_driver, text);
	return 0;
}

/*
 * Finds a function of the group that the host uses itself, so that nobody else can use any of them;
 * false if there is none.
 */
static bool find_host_member(const char *sysfs, int group, char ret_text[static PCI_ADDR_TEXT_SIZE],
	char ret_driver[static HOST_DRIVER_SIZE])
{
	static const char *const harmless[] = {"vfio-pci", "pci-stub", "pcieport"};
	_cleanup_closedir_ DIR *dir =
		sysfs_opendir("%s/kernel/iommu_groups/%d/devices", sysfs, group);
	struct pci_addr addr;
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &addr) < 0 ||
			host_pci_driver(sysfs, &addr, ret_driver) < 0)
			continue;
		found = true;
		for (unsigned i = 0; i < ARRAY_SIZE(harmless); i++)
			found = found && strcmp(ret_driver, harmless[i]) != 0;
		pci_addr_format(&addr, ret_text);
	}
	return found;
}

/* True if this process has the file open; then no other process holds it. */
static bool is_open_here(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = fd_is_on(atoi(entry->d_name), path);
	return found;
}

/* The file through which processes get the functions of a group. */
static void find_group_file(const char *dev, int group, char ret_path[static PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/vfio/noiommu-%d", dev, group);
	if (access(ret_path, F_OK) < 0)
		snprintf(ret_path, PATH_MAX, "%s/vfio/%d", dev, group);
}

/* Opens and closes the file. */
static int check_file(const char *path, const char *text, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (is_open_here(path))
		return 0;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, EBUSY,
			"device %s is in use by another process, which has %s open; fuser -v %s "
			"names it",
			text, path, path);
	if (errno == EACCES || errno == EPERM)
		return err_set(err, EACCES,
			"device %s: no permission to open %s; run as root, or give the file to "
			"this user",
			text, path);
	return err_set(
		err, errno, "device %s: %s cannot be opened: %s", text, path, strerror(errno));
}

bool host_pci_wants_vf_token(const char *sysfs, const struct pci_addr *addr)
{
	struct pci_addr pf;

	return host_pci_driver_kind(sysfs, addr) == HOST_DRIVER_VFIO &&
	       host_pci_physfn(sysfs, addr, &pf) == 0 &&
	       host_pci_driver_kind(sysfs, &pf) == HOST_DRIVER_VFIO;
}

static int check_token(const char *sysfs, const struct pci_addr *addr, const char *text,
	const struct host_use *use, struct err *err)
{
	if (use->vf_token || !host_pci_wants_vf_token(sysfs, addr))
		return 0;
	return err_set(err, EACCES,
		"device %s: its PF is bound to vfio-pci, and VFIO wants a VF token then, but none "
		"is configured; set VIRTIOFWD_VFIO_VF_TOKEN (--vfio-vf-token) to the one that the "
		"PF's program has",
		text);
}

static bool may_lock_memory(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &header, data) == 0 && data[0].effective & (1U << CAP_IPC_LOCK);
}

static int check_locked_memory(const char *text, struct err *err)
{
	struct rlimit limit;

	if (may_lock_memory() || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
		limit.rlim_cur >= LOCKED_BYTES_MIN)
		return 0;
	return err_set(err, ENOMEM,
		"device %s: this process may lock no more than %llu KiB of memory, and VFIO locks "
		"all that the device can reach; ulimit -l unlimited (LimitMEMLOCK=infinity)",
		text, (unsigned long long)limit.rlim_cur >> 10);
}

static int check_vfio(const char *sysfs, const char *dev, const struct pci_addr *addr,
	const char *text, const struct host_use *use, struct err *err)
{
	char path[PATH_MAX], member[PCI_ADDR_TEXT_SIZE], driver[HOST_DRIVER_SIZE];
	int group = host_pci_iommu_group(sysfs, addr);

	if (host_vfio_allows_no_iommu(sysfs) && !use->physical_addresses)
		return err_set(err, EOPNOTSUPP,
			"device %s is bound to vfio-pci, which needs physical addresses while the "
			"no-IOMMU mode is allowed (enable_unsafe_noiommu_mode), and the daemon "
			"has virtual ones; start it again as root and with hugepages",
			text);
	if (group < 0)
		return 0; /* just unbound: in the no-IOMMU mode, too, the kernel makes one */
	if (find_host_member(sysfs, group, member, driver))
		return err_set(err, EBUSY,
			"device %s shares its IOMMU group %d with %s, which the host's driver %s "
			"uses; " BIND_REMEDY,
			text, group, member, driver, member);
	find_group_file(dev, group, path);
	int r = check_file(path, text, err);
	if (r == 0)
		r = check_token(sysfs, addr, text, use, err);
	if (r == 0)
		r = check_locked_memory(text, err);
	return r;
}

static int check_uio(
	const char *driver, const char *text, const struct host_use *use, struct err *err)
{
	if (use->physical_addresses)
		return 0;
	return err_set(err, EOPNOTSUPP,
		"device %s is bound to %s, which needs physical addresses, and the daemon has "
		"virtual ones; start it again as root and with hugepages now that the device is "
		"bound so, or bind the device to vfio-pci",
		text, driver);
}

int host_pci_usable(const char *sysfs, const char *dev, const struct pci_addr *addr,
	const struct host_use *use, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE], driver[HOST_DRIVER_SIZE];

	pci_addr_format(addr, text);
	int r = check_driver(sysfs, addr, text, driver, err);
	if (r < 0)
		return r;
	switch (host_driver_kind(driver)) {
	case HOST_DRIVER_VFIO:
		return check_vfio(sysfs, dev, addr, text, use, err);
	case HOST_DRIVER_UIO:
		return check_uio(driver, text, use, err);
	default:
		return 0;
	}
}
