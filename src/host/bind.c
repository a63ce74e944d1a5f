/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "base/bind_list.h"
#include "base/log.h"
#include "host/former_names.h"
#include "host/netdev.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/usable.h"

#define DRIVERS "%s/bus/pci/drivers"
#define FUNCTION "%s/bus/pci/devices/%s"

/* A growing list of devices. */
struct addr_array {
	struct pci_addr *addrs;
	unsigned n;
};

static bool is_link_local(const struct sockaddr *addr)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

	return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

/*
 * True if this is an address of the interface. For the interface of an IPv4 address, getifaddrs()
 * gives its label, which may be longer ("eth0:1"); a name of an interface holds no colon.
 */
static bool is_of(const struct ifaddrs *address, const char *netdev)
{
	const size_t length = strcspn(address->ifa_name, ":");

	return length == strlen(netdev) && memcmp(address->ifa_name, netdev, length) == 0;
}

/* Returns 1 if the interface has an IP address other than a link-local one, 0 if not. */
static int has_ip_address(const char *netdev)
{
	struct ifaddrs *list, *a;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (a = list; a && !found; a = a->ifa_next)
		found = is_of(a, netdev) && a->ifa_addr &&
		        (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6) &&
		        !is_link_local(a->ifa_addr);
	freeifaddrs(list);
	return found;
}

/* Finds an interface on top of this one: a VLAN's, a macvlan or macvtap, a bridge or bond. */
static bool find_upper(const char *sysfs, const char *netdev, char ret_upper[static IFNAMSIZ])
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/class/net/%s", sysfs, netdev);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = sscanf(entry->d_name, "upper_%15s", ret_upper) == 1;
	return found;
}

static int check_interface(const char *sysfs, const char *netdev, const char *text, struct err *err)
{
	char other[IFNAMSIZ];
	int r;

	if (sysfs_link_name(other, sizeof(other), "%s/class/net/%s/master", sysfs, netdev) == 0)
		return err_set(err, EBUSY,
			"%s is in use: its interface %s belongs to %s; take it out (ip link set %s "
			"nomaster)",
			text, netdev, other, netdev);
	if (find_upper(sysfs, netdev, other))
		return err_set(err, EBUSY,
			"%s is in use: its interface %s carries %s; remove that (ip link del %s)",
			text, netdev, other, other);
	r = has_ip_address(netdev);
	if (r < 0)
		return err_set(err, -r,
			"%s: it is unknown whether its interface %s has an IP address: %s", text,
			netdev, strerror(-r));
	if (r > 0)
		return err_set(err, EBUSY,
			"%s is in use: its interface %s has an IP address; take it off (ip addr "
			"flush dev %s)",
			text, netdev, netdev);
	return 0;
}

/* An interface that has been moved to another namespace leaves an empty directory. */
static int check_interfaces(const char *sysfs, const char *text, struct err *err)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir(FUNCTION "/net", sysfs, text);
	struct dirent *entry;
	unsigned n = 0;
	int r = 0;

	while (dir && r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			r = check_interface(sysfs, entry->d_name, text, err);
			n++;
		}
	if (dir && n == 0)
		return err_set(err, EBUSY,
			"%s is in use: its interface is in another network namespace (a pod's, or "
			"the host's if this program runs in a container)",
			text);
	return r;
}

static int check_idle(const char *sysfs, const char *text, struct err *err)
{
	int n_vfs = 0;

	sysfs_read_int(&n_vfs, FUNCTION "/sriov_numvfs", sysfs, text);
	if (n_vfs > 0)
		return err_set(err, EBUSY,
			"%s is in use: it is a PF with %d VFs; name the VFs instead", text, n_vfs);
	return check_interfaces(sysfs, text, err);
}

static int check_iommu(
	const char *sysfs, const struct pci_addr *addr, const char *text, struct err *err)
{
	if (host_pci_iommu_group(sysfs, addr) >= 0 || host_vfio_allows_no_iommu(sysfs))
		return 0;
	return err_set(err, EOPNOTSUPP,
		"%s has no IOMMU group; switch the IOMMU on in the firmware and on the kernel's "
		"command line (Intel: intel_iommu=on)",
		text);
}

static int write_failed(int r, const char *text, const char *driver, struct err *err)
{
	if (r == -EACCES || r == -EPERM)
		return err_set(err, EACCES,
			"%s: no permission to bind it to %s; run as root, on a writable /sys", text,
			driver);
	return err_set(err, EIO, "%s cannot be bound to %s: %s; the kernel log may say why", text,
		driver, strerror(-r));
}

static bool is_bound_to(const char *sysfs, const struct pci_addr *addr, const char *driver)
{
	char now[HOST_DRIVER_SIZE];

	return host_pci_driver(sysfs, addr, now) == 0 && !strcmp(now, driver);
}

/* The interface goes with its driver. A name that cannot be remembered does not prevent binding. */
static void remember_name(const char *sysfs, const struct pci_addr *addr, const char *text)
{
	struct err err = {""};

	if (host_former_name_remember(sysfs, addr, &err) < 0)
		log_warning("%s: %s", text, err.text);
}

/* Lets the kernel choose a driver again, without an override. */
static void undo(const char *sysfs, const char *text)
{
	sysfs_write("\n", FUNCTION "/driver_override", sysfs, text);
	sysfs_write(text, "%s/bus/pci/drivers_probe", sysfs);
}

static int rebind(const char *sysfs, const struct pci_addr *addr, const char *text,
	const char *driver, struct err *err)
{
	char old[HOST_DRIVER_SIZE];
	int r;

	r = sysfs_write(driver, FUNCTION "/driver_override", sysfs, text);
	if (r < 0)
		return write_failed(r, text, driver, err);
	remember_name(sysfs, addr, text);
	if (host_pci_driver(sysfs, addr, old) == 0)
		r = sysfs_write(text, DRIVERS "/%s/unbind", sysfs, old);
	if (r >= 0)
		r = sysfs_write(text, "%s/bus/pci/drivers_probe", sysfs);
	if (is_bound_to(sysfs, addr, driver))
		return 1;
	undo(sysfs, text);
	if (r < 0)
		return write_failed(r, text, driver, err);
	return err_set(err, EIO,
		"%s was refused by the driver %s; another device of its IOMMU group may be in use "
		"by the host, and the kernel log may say more",
		text, driver);
}

static int no_such_device(const char *text, struct err *err)
{
	return err_set(err, ENODEV,
		"%s is no PCI device of this host; lspci -D shows those there are", text);
}

/* Returns 1 if the function could be bound once the driver is loaded, 0 if it is bound already. */
static int foresee_device(
	const char *sysfs, const struct pci_addr *addr, const char *driver, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE];
	int r;

	pci_addr_format(addr, text);
	if (!sysfs_exists(FUNCTION, sysfs, text))
		return no_such_device(text, err);
	if (is_bound_to(sysfs, addr, driver))
		return 0;
	r = sysfs_may_write(FUNCTION "/driver_override", sysfs, text);
	if (r < 0)
		return write_failed(r, text, driver, err);
	r = strcmp(driver, HOST_BIND_DRIVER) == 0 ? check_iommu(sysfs, addr, text, err) : 0;
	if (r >= 0)
		r = check_idle(sysfs, text, err);
	return r < 0 ? r : 1;
}

int host_bind_device(
	const char *sysfs, const struct pci_addr *addr, const char *driver, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE];
	int r;

	r = foresee_device(sysfs, addr, driver, err);
	if (r <= 0)
		return r;
	pci_addr_format(addr, text);
	if (!sysfs_exists(DRIVERS "/%s", sysfs, driver))
		return err_set(err, ENOENT,
			"%s cannot be bound, as the driver %s is not loaded: modprobe %s", text,
			driver, driver);
	return rebind(sysfs, addr, text, driver, err);
}

int host_unbind_device(const char *sysfs, const struct pci_addr *addr, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE], driver[HOST_DRIVER_SIZE];
	int r;

	pci_addr_format(addr, text);
	if (!sysfs_exists(FUNCTION, sysfs, text))
		return no_such_device(text, err);
	if (host_pci_driver(sysfs, addr, driver) < 0 || !host_driver_is_userspace(driver))
		return 0;
	r = sysfs_write("\n", FUNCTION "/driver_override", sysfs, text);
	if (r >= 0)
		r = sysfs_write(text, DRIVERS "/%s/unbind", sysfs, driver);
	if (r >= 0)
		r = sysfs_write(text, "%s/bus/pci/drivers_probe", sysfs);
	return r < 0 ? write_failed(r, text, "the kernel's driver", err) : 1;
}

static int append(struct addr_array *array, const struct pci_addr *addr, struct err *err)
{
	struct pci_addr *addrs = reallocarray(array->addrs, array->n + 1, sizeof(*addrs));

	if (!addrs)
		return err_set(err, ENOMEM, "out of memory");
	addrs[array->n++] = *addr;
	array->addrs = addrs;
	return 0;
}

/* Appends the first `count` VFs of a PF's interface, or all of them if count is 0. */
static int append_vfs(const char *sysfs, const char *netdev, const struct pci_addr *pf,
	unsigned count, struct addr_array *array, struct err *err)
{
	_cleanup_free_ struct host_vf *vfs = NULL;
	char text[PCI_ADDR_TEXT_SIZE];
	unsigned n;
	int r;

	r = host_vf_list(sysfs, pf, &vfs, &n, err);
	if (r < 0)
		return r;
	if (n == 0 || n < count) {
		pci_addr_format(pf, text);
		return err_set(err, ENODEV,
			"%s (%s) has %u VFs; make them first: echo %u > "
			"/sys/bus/pci/devices/%s/sriov_numvfs",
			netdev, text, n, count ? count : 1, text);
	}
	for (unsigned i = 0; i < (count ? count : n) && r >= 0; i++)
		r = append(array, &vfs[i].addr, err);
	return r;
}

/* Of a VF's own interface, or its representor. */
static int append_vf(
	const char *sysfs, const char *netdev, struct addr_array *array, struct err *err)
{
	struct host_vf vf;
	int r = host_vf_from_netdev(sysfs, netdev, &vf, err);

	return r < 0 ? r : append(array, &vf.addr, err);
}

static int append_netdev(const char *sysfs, const struct bind_entry *entry,
	struct addr_array *array, struct err *err)
{
	const char *netdev = entry->netdev;
	const bool counted = entry->n_vfs > 0;
	char text[PCI_ADDR_TEXT_SIZE];
	struct pci_addr addr, other;

	if (!sysfs_exists("%s/class/net/%s", sysfs, netdev)) {
		if (!counted && host_former_name_find(sysfs, netdev, &addr) == 0)
			return append(array, &addr, err);
		return err_set(err, ENODEV,
			"there is no interface %s; ip link shows those there are", netdev);
	}
	if (host_netdev_is_representor(sysfs, netdev)) {
		if (counted)
			return err_set(err, EINVAL,
				"%s is the representor of one VF: leave out the number, or name "
				"the PF's interface",
				netdev);
		return append_vf(sysfs, netdev, array, err);
	}
	if (sysfs_link_pci(&addr, "%s/class/net/%s/device", sysfs, netdev) < 0)
		return err_set(err, EINVAL, "the interface %s is no PCI device's", netdev);
	if (!host_pci_is_pf(sysfs, &addr) && !counted &&
		sysfs_exists("%s/class/net/%s/device/physfn", sysfs, netdev))
		return append_vf(sysfs, netdev, array, err);
	if (!counted && host_former_name_find(sysfs, netdev, &other) == 0) {
		pci_addr_format(&other, text);
		return err_set(err, EEXIST,
			"%s is a PF's interface, but VF %s, which is bound, had the name before: "
			"use addresses, or %s:n for n VFs of the PF",
			netdev, text, netdev);
	}
	return append_vfs(sysfs, netdev, &addr, entry->n_vfs, array, err);
}

static int append_entry(
	const char *sysfs, const char *text, struct addr_array *array, struct err *err)
{
	struct bind_entry entry;
	int r = bind_entry_parse(text, &entry, err);

	if (r < 0)
		return r;
	return entry.is_pci ? append(array, &entry.addr, err)
	                    : append_netdev(sysfs, &entry, array, err);
}

int host_bind_parse(const char *sysfs, const char *list, struct pci_addr **ret_addrs,
	unsigned *ret_n, struct err *err)
{
	_cleanup_free_ char *copy = strdup(list);
	struct addr_array array = {0};
	char *rest = copy, *entry;
	int r = copy ? 0 : err_set(err, ENOMEM, "out of memory");

	while (r >= 0 && (entry = bind_list_next(&rest)))
		r = append_entry(sysfs, entry, &array, err);
	if (r < 0) {
		free(array.addrs);
		return r;
	}
	*ret_addrs = array.addrs;
	*ret_n = array.n;
	return 0;
}

typedef int bind_one(
	const char *sysfs, const struct pci_addr *addr, const char *driver, struct err *err);

/* Calls `one` for the devices of one entry. */
static void bind_entry(const char *sysfs, const char *entry, bind_one *one,
	host_bind_report *report, void *userdata)
{
	_cleanup_free_ struct pci_addr *addrs = NULL;
	char text[PCI_ADDR_TEXT_SIZE];
	struct err err = {""};
	unsigned n = 0;
	int r;

	r = host_bind_parse(sysfs, entry, &addrs, &n, &err);
	if (r < 0)
		report(userdata, entry, r, &err);
	for (unsigned i = 0; i < n; i++) {
		err.text[0] = '\0';
		r = one(sysfs, &addrs[i], HOST_BIND_DRIVER, &err);
		pci_addr_format(&addrs[i], text);
		report(userdata, text, r, &err);
	}
}

static void bind_list(const char *sysfs, const char *list, bind_one *one, host_bind_report *report,
	void *userdata)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *entry;

	while ((entry = bind_list_next(&rest)))
		bind_entry(sysfs, entry, one, report, userdata);
}

void host_bind(const char *sysfs, const char *list, host_bind_report *report, void *userdata)
{
	bind_list(sysfs, list, host_bind_device, report, userdata);
}

void host_bind_foresee(
	const char *sysfs, const char *list, host_bind_report *report, void *userdata)
{
	bind_list(sysfs, list, foresee_device, report, userdata);
}

bool host_bind_list_has(const char *sysfs, const char *list, const struct pci_addr *addr)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *entry;
	bool found = false;

	while (!found && (entry = bind_list_next(&rest))) {
		_cleanup_free_ struct pci_addr *addrs = NULL;
		unsigned n = 0;

		if (host_bind_parse(sysfs, entry, &addrs, &n, NULL) < 0)
			continue;
		for (unsigned i = 0; i < n; i++)
			found = found || pci_addr_equal(&addrs[i], addr);
	}
	return found;
}
