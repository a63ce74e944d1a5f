/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/bind.h"
#include "host/netdev.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/sysfs_fixture.h"

/* The fake kernel: the linker replaces sysfs_write() and getifaddrs() by it. */
static struct {
	struct fake_sysfs fs;
	char override[PATH_MAX]; /* the override written last; "" for none */
	const char *refused;     /* the driver that refuses; NULL for none */
	int write_error;         /* error of every write; 0 for none */
	char reports[1024];
	int first_error; /* of the reports; 0: none */
	int probes;
	bool no_addresses; /* it does not tell those of the interfaces */
	const char *label; /* of the only address there is; NULL: those of the host are told */
} kernel;

int __wrap_sysfs_write(const char *text, const char *fmt, ...) _printf_(2, 3);

int __real_getifaddrs(struct ifaddrs **ret_list);
int __wrap_getifaddrs(struct ifaddrs **ret_list);

/* freeifaddrs() frees it as a whole. */
static struct ifaddrs *labelled_address(void)
{
	struct {
		struct ifaddrs entry;
		struct sockaddr_in addr;
		char label[IFNAMSIZ];
	} *list = calloc(1, sizeof(*list));

	assert_non_null(list);
	list->entry.ifa_name = list->label;
	list->entry.ifa_addr = (struct sockaddr *)&list->addr;
	list->addr.sin_family = AF_INET;
	snprintf(list->label, sizeof(list->label), "%s", kernel.label);
	return &list->entry;
}

int __wrap_getifaddrs(struct ifaddrs **ret_list)
{
	errno = ENOMEM;
	if (kernel.label == NULL)
		return kernel.no_addresses ? -1 : __real_getifaddrs(ret_list);
	*ret_list = labelled_address();
	return 0;
}

static void link_driver(const char *addr, const char *driver)
{
	char path[128], target[PATH_MAX + 32];

	snprintf(path, sizeof(path), "devices/pci0000:00/%s/driver", addr);
	snprintf(target, sizeof(target), "bus/pci/drivers/%s", driver);
	fake_sysfs_link(&kernel.fs, path, target);
}

/* Its interface goes with the driver. */
static void unlink_driver(const char *addr_text)
{
	char path[PATH_MAX], netdev[IFNAMSIZ];
	struct pci_addr addr;

	snprintf(path, sizeof(path), "%s/devices/pci0000:00/%s/driver", kernel.fs.root, addr_text);
	unlink(path);
	pci_addr_parse(addr_text, &addr);
	if (host_pci_netdev(kernel.fs.root, &addr, netdev) < 0)
		return;
	snprintf(path, sizeof(path), "class/net/%s", netdev);
	fake_sysfs_remove(&kernel.fs, path);
	snprintf(path, sizeof(path), "devices/pci0000:00/%s/net", addr_text);
	fake_sysfs_remove(&kernel.fs, path);
}

int __wrap_sysfs_write(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	const char *driver;
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (kernel.write_error)
		return -kernel.write_error;
	if (strstr(path, "/driver_override")) {
		snprintf(kernel.override, sizeof(kernel.override), "%s",
			strcmp(text, "\n") ? text : "");
	} else if (strstr(path, "/unbind")) {
		unlink_driver(text);
	} else if (strstr(path, "/drivers_probe")) {
		kernel.probes++;
		driver = kernel.override[0] ? kernel.override : "igbvf";
		if (!kernel.refused || strcmp(driver, kernel.refused))
			link_driver(text, driver);
	} else {
		fail_msg("unexpected write to %s", path);
	}
	return 0;
}

static int make_tree(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	fake_sysfs_init(&kernel.fs);
	fake_sysfs_pci(&kernel.fs, "0000:01:00.0", "", 1);
	fake_sysfs_netdev(&kernel.fs, "ens3", "0000:01:00.0", NULL, NULL);
	for (int i = 0; i < 4; i++) {
		char addr[32], name[16];

		snprintf(addr, sizeof(addr), "0000:01:10.%d", i);
		snprintf(name, sizeof(name), "ens3v%d", i);
		fake_sysfs_pci(&kernel.fs, addr, i == 3 ? "" : "igbvf", 2 + i);
		fake_sysfs_vf(&kernel.fs, "0000:01:00.0", addr, i);
		fake_sysfs_netdev(&kernel.fs, name, addr, NULL, NULL);
	}
	return 0;
}

static int remove_tree(void **state)
{
	fake_sysfs_fini(&kernel.fs);
	return 0;
}

static void note(void *userdata, const char *name, int r, const struct err *err)
{
	size_t length = strlen(kernel.reports);

	assert_true((r < 0) == (err->text[0] != '\0'));
	snprintf(kernel.reports + length, sizeof(kernel.reports) - length, "%s=%d ", name, r);
	if (r < 0 && kernel.first_error == 0)
		kernel.first_error = r;
}

/* Returns 0 or the code of the first error. */
static int bind_list(const char *list)
{
	kernel.reports[0] = '\0';
	kernel.first_error = 0;
	host_bind(kernel.fs.root, list, note, NULL);
	return kernel.first_error;
}

static void assert_driver(const char *addr_text, const char *driver)
{
	char now[HOST_DRIVER_SIZE] = "";
	struct pci_addr addr;

	assert_int_equal(pci_addr_parse(addr_text, &addr), 0);
	host_pci_driver(kernel.fs.root, &addr, now);
	assert_string_equal(now, driver);
}

static void every_form_is_bound_once(void **state)
{
	assert_int_equal(bind_list("ens3:2,0000:01:10.2"), 0);
	assert_string_equal(kernel.reports, "0000:01:10.0=1 0000:01:10.1=1 0000:01:10.2=1 ");
	assert_driver("0000:01:10.0", "vfio-pci");
	assert_driver("0000:01:10.3", "");
	assert_int_equal(kernel.probes, 3);

	assert_int_equal(bind_list(" 01:10.3, ens3 ,"), 0);
	assert_string_equal(kernel.reports,
		"0000:01:10.3=1 0000:01:10.0=0 0000:01:10.1=0 0000:01:10.2=0 0000:01:10.3=0 ");
	assert_int_equal(kernel.probes, 4);
	assert_int_equal(bind_list(""), 0);
	assert_string_equal(kernel.reports, "");
}

static void a_vf_by_its_own_interface(void **state)
{
	assert_int_equal(bind_list("ens3v1"), 0);
	assert_string_equal(kernel.reports, "0000:01:10.1=1 ");
}

static void a_pf_that_has_a_vf_is_left_alone(void **state)
{
	const char *numvfs = "devices/pci0000:00/0000:01:00.0/sriov_numvfs";

	fake_sysfs_set(&kernel.fs, numvfs, "1");
	assert_int_equal(bind_list("0000:01:00.0"), -EBUSY);
	assert_string_equal(kernel.reports, "0000:01:00.0=-16 ");
	assert_driver("0000:01:00.0", "");
	fake_sysfs_set(&kernel.fs, numvfs, "0");
	assert_int_equal(bind_list("0000:01:00.0"), 0);
	assert_driver("0000:01:00.0", "vfio-pci");
}

/* Its `device` is the PF, so it must not be taken for the PF's interface. */
static void a_vf_by_its_representor(void **state)
{
	fake_sysfs_netdev(&kernel.fs, "rep2", "0000:01:00.0", "aa", "pf0vf2");
	assert_int_equal(bind_list("rep2"), 0);
	assert_string_equal(kernel.reports, "0000:01:10.2=1 ");
	fake_sysfs_netdev(&kernel.fs, "rep9", "0000:01:00.0", "aa", "pf0vf9");
	assert_int_equal(bind_list("rep9,rep2:2"), -ENODEV);
	assert_string_equal(kernel.reports, "rep9=-19 rep2:2=-22 ");
	/* the uplink has a phys_port_name too */
	fake_sysfs_netdev(&kernel.fs, "uplink", "0000:01:00.0", "aa", "p0");
	assert_int_equal(bind_list("uplink:1"), 0);
	assert_string_equal(kernel.reports, "0000:01:10.0=1 ");
}

/* The VF that an interface's name stands for. */
static void expect_vf(const char *netdev, const char *addr)
{
	char text[PCI_ADDR_TEXT_SIZE];
	struct err err = {""};
	struct host_vf vf;

	if (host_vf_from_netdev(kernel.fs.root, netdev, &vf, &err) < 0)
		fail_msg("%s: %s", netdev, err.text);
	pci_addr_format(&vf.addr, text);
	assert_string_equal(text, addr);
}

static void expect_no_vf(const char *netdev)
{
	struct host_vf vf;

	assert_int_equal(host_vf_from_netdev(kernel.fs.root, netdev, &vf, NULL), -ENODEV);
}

static void a_bound_vf_keeps_its_name(void **state)
{
	struct pci_addr addr = {0, 1, 0x10, 1};

	assert_int_equal(bind_list("ens3v1"), 0);
	expect_vf("ens3v1", "0000:01:10.1");
	assert_int_equal(bind_list("ens3v1"), 0);
	assert_string_equal(kernel.reports, "0000:01:10.1=0 ");
	assert_int_equal(bind_list("ens3v1:1"), -ENODEV);

	/* not once a driver of the kernel has it, whatever its interface is called now */
	assert_int_equal(host_unbind_device(kernel.fs.root, &addr, NULL), 1);
	expect_no_vf("ens3v1");
	assert_int_equal(bind_list("ens3v1"), -ENODEV);
	fake_sysfs_netdev(&kernel.fs, "web", "0000:01:10.1", NULL, NULL);
	assert_int_equal(bind_list("web"), 0);
	expect_vf("web", "0000:01:10.1");

	fake_sysfs_remove(&kernel.fs, "bus/pci/devices/0000:01:10.1");
	expect_no_vf("web");
}

/* The kernel gives a name that counts to the next interface. */
static void a_bound_vf_keeps_its_name_from_others(void **state)
{
	struct err err = {""};
	struct host_vf vf;

	assert_int_equal(bind_list("ens3v1"), 0);
	fake_sysfs_remove(&kernel.fs, "class/net/ens3v2");
	fake_sysfs_remove(&kernel.fs, "devices/pci0000:00/0000:01:10.2/net");
	fake_sysfs_netdev(&kernel.fs, "ens3v1", "0000:01:10.2", NULL, NULL);
	assert_int_equal(host_vf_from_netdev(kernel.fs.root, "ens3v1", &vf, &err), -EEXIST);
	assert_non_null(strstr(err.text, "0000:01:10.1"));
	assert_non_null(strstr(err.text, "0000:01:10.2"));
	assert_int_equal(bind_list("01:10.2"), 0);
	expect_vf("ens3v1", "0000:01:10.1");
	expect_no_vf("ens3v2");
}

/* Not all VFs of a PF are bound for the name of one of another's. */
static void a_pf_with_the_name_of_a_bound_vf(void **state)
{
	assert_int_equal(bind_list("ens3v1"), 0);
	fake_sysfs_netdev(&kernel.fs, "ens3v1", "0000:01:00.0", NULL, NULL);
	assert_int_equal(bind_list("ens3v1"), -EEXIST);
	assert_driver("0000:01:10.2", "igbvf");
	assert_int_equal(bind_list("ens3v1:2"), 0);
	assert_driver("0000:01:10.0", "vfio-pci");
}

static void binding_goes_on_where_no_name_can_be_kept(void **state)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/run", kernel.fs.base);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(bind_list("ens3v1"), 0);
	assert_driver("0000:01:10.1", "vfio-pci");
	expect_no_vf("ens3v1");
}

static void bad_entries_do_not_stop_the_rest(void **state)
{
	assert_int_equal(
		bind_list("nosuch,ens3:0,ens3:5,ens3:x,01:10,../x,02:00.0,01:10.1"), -ENODEV);
	assert_string_equal(kernel.reports, "nosuch=-19 ens3:0=-22 ens3:5=-19 ens3:x=-22 01:10=-19 "
					    "../x=-22 0000:02:00.0=-19 0000:01:10.1=1 ");
}

/* Expects binding to fail with the code, a text that names device and remedy, and no change. */
static void expect_refusal(const char *addr_text, int code, const char *remedy, const char *driver)
{
	struct err err = {""};
	struct pci_addr addr;

	assert_int_equal(pci_addr_parse(addr_text, &addr), 0);
	assert_int_equal(host_bind_device(kernel.fs.root, &addr, HOST_BIND_DRIVER, &err), -code);
	if (!strstr(err.text, addr_text) || !strstr(err.text, remedy))
		fail_msg("\"%s\" does not tell of %s and %s", err.text, addr_text, remedy);
	assert_driver(addr_text, driver);
	assert_string_equal(kernel.override, "");
}

static void driver_not_loaded(void **state)
{
	fake_sysfs_remove(&kernel.fs, "bus/pci/drivers/vfio-pci");
	expect_refusal("0000:01:10.0", ENOENT, "modprobe vfio-pci", "igbvf");
}

static void no_iommu(void **state)
{
	struct pci_addr addr = {0, 1, 0x10, 0};

	fake_sysfs_remove(&kernel.fs, "devices/pci0000:00/0000:01:10.0/iommu_group");
	expect_refusal("0000:01:10.0", EOPNOTSUPP, "intel_iommu=on", "igbvf");
	fake_sysfs_set(&kernel.fs, "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
	assert_int_equal(host_bind_device(kernel.fs.root, &addr, HOST_BIND_DRIVER, NULL), 1);
}

static void in_use(void **state)
{
	expect_refusal("0000:01:00.0", EBUSY, "4 VFs", "");
	fake_sysfs_link(&kernel.fs, "devices/pci0000:00/0000:01:10.0/net/ens3v0/master",
		"devices/virtual/net/br7");
	expect_refusal("0000:01:10.0", EBUSY, "br7", "igbvf");
	fake_sysfs_link(&kernel.fs, "devices/pci0000:00/0000:01:10.2/net/ens3v2/upper_macvtap0",
		"devices/virtual/net/macvtap0");
	expect_refusal("0000:01:10.2", EBUSY, "ip link del macvtap0", "igbvf");
	fake_sysfs_remove(&kernel.fs, "devices/pci0000:00/0000:01:10.2/net/ens3v2");
	expect_refusal("0000:01:10.2", EBUSY, "another network namespace", "igbvf");
	/* the loopback interface has an address on every host */
	fake_sysfs_remove(&kernel.fs, "devices/pci0000:00/0000:01:10.1/net");
	fake_sysfs_netdev(&kernel.fs, "lo", "0000:01:10.1", NULL, NULL);
	expect_refusal("0000:01:10.1", EBUSY, "ip addr flush dev lo", "igbvf");
	/* an idle one beside it does not hide it */
	fake_sysfs_netdev(&kernel.fs, "idle", "0000:01:10.1", NULL, NULL);
	expect_refusal("0000:01:10.1", EBUSY, "ip addr flush dev lo", "igbvf");
}

static void an_address_with_a_label(void **state)
{
	kernel.label = "ens3v0:web";
	expect_refusal("0000:01:10.0", EBUSY, "ip addr flush dev ens3v0", "igbvf");
	kernel.label = "ens3v01";
	assert_int_equal(bind_list("ens3v0"), 0);
	kernel.label = "ens3v:0";
	assert_int_equal(bind_list("ens3v1"), 0);
}

static void unknown_addresses(void **state)
{
	kernel.no_addresses = true;
	expect_refusal("0000:01:10.1", ENOMEM, "ens3v1", "igbvf");
	kernel.no_addresses = false;
	assert_int_equal(bind_list("ens3v1"), 0);
}

static void refused_by_the_kernel(void **state)
{
	kernel.refused = "vfio-pci";
	expect_refusal("0000:01:10.0", EIO, "IOMMU group", "igbvf");
	kernel.refused = NULL;
	kernel.write_error = EACCES;
	expect_refusal("0000:01:10.0", EACCES, "root", "igbvf");
	kernel.write_error = ENODEV;
	expect_refusal("0000:01:10.0", EIO, "kernel log", "igbvf");
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(every_form_is_bound_once),
		IN_TREE(a_vf_by_its_own_interface),
		IN_TREE(a_pf_that_has_a_vf_is_left_alone),
		IN_TREE(a_vf_by_its_representor),
		IN_TREE(a_bound_vf_keeps_its_name),
		IN_TREE(a_bound_vf_keeps_its_name_from_others),
		IN_TREE(a_pf_with_the_name_of_a_bound_vf),
		IN_TREE(binding_goes_on_where_no_name_can_be_kept),
		IN_TREE(bad_entries_do_not_stop_the_rest),
		IN_TREE(driver_not_loaded),
		IN_TREE(no_iommu),
		IN_TREE(in_use),
		IN_TREE(an_address_with_a_label),
		IN_TREE(unknown_addresses),
		IN_TREE(refused_by_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
