/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/sysfs_fixture.h"
#include "host/usable.h"

static struct fake_sysfs fs;

static int make_tree(void **state)
{
	fake_sysfs_init(&fs);
	fake_sysfs_pci(&fs, "0000:05:00.0", "igb", 20);
	fake_sysfs_pci(&fs, "0000:05:08.1", "vfio-pci", 21);
	fake_sysfs_vf(&fs, "0000:05:00.0", "0000:05:08.1", 0);
	return 0;
}

static int remove_tree(void **state)
{
	fake_sysfs_fini(&fs);
	return 0;
}

/* Checks what is said of a function; the device files are in the tree too. */
static void assert_said_to(
	struct host_use use, const char *addr_text, int expected, const char *words)
{
	struct pci_addr addr;
	struct err err = {""};

	assert_int_equal(pci_addr_parse(addr_text, &addr), 0);
	assert_int_equal(host_pci_usable(fs.root, fs.root, &addr, &use, &err), expected);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void assert_said(const char *addr_text, int expected, const char *words)
{
	assert_said_to((struct host_use){0}, addr_text, expected, words);
}

static void drivers_are_told(void **state)
{
	fake_sysfs_pci(&fs, "0000:05:08.3", "igbvf", 22);
	fake_sysfs_pci(&fs, "0000:05:08.5", "", 23);
	fake_sysfs_pci(&fs, "0000:05:08.7", "mlx5_core", 24);
	fake_sysfs_pci(&fs, "0000:05:09.1", "igb_uio", 25);
	assert_said("0000:05:10.0", -ENODEV, "no PCI device of this host");
	assert_said("0000:05:08.3", -ENXIO, "driver igbvf");
	assert_said("0000:05:08.3", -ENXIO, "vio4wd vf bind 0000:05:08.3");
	assert_said("0000:05:08.5", -ENXIO, "bound to no driver");
	assert_said("0000:05:09.1", -EOPNOTSUPP, "physical addresses");
	assert_said("0000:05:08.7", 0, "");
}

/* Whether the configured one is right, only VFIO can tell. */
static void a_missing_token_is_told(void **state)
{
	const struct host_use use = {.vf_token = true};
	struct pci_addr addr;

	fake_sysfs_set(&fs, "vfio/21", "%s", "");
	assert_said("0000:05:08.1", 0, "");
	fake_sysfs_pci(&fs, "0000:06:00.0", "vfio-pci", 30);
	fake_sysfs_pci(&fs, "0000:06:08.1", "vfio-pci", 31);
	fake_sysfs_vf(&fs, "0000:06:00.0", "0000:06:08.1", 0);
	fake_sysfs_set(&fs, "vfio/31", "%s", "");
	assert_said("0000:06:08.1", -EACCES, "VIRTIOFWD_VFIO_VF_TOKEN");
	assert_said_to(use, "0000:06:08.1", 0, "");
	assert_int_equal(pci_addr_parse("0000:06:08.1", &addr), 0);
	assert_true(host_pci_wants_vf_token(fs.root, &addr));
	assert_int_equal(pci_addr_parse("0000:05:08.1", &addr), 0);
	assert_false(host_pci_wants_vf_token(fs.root, &addr));
}

/* Whether or not there is an IOMMU, and before any VF is bound to vfio-pci. */
static void no_iommu_mode_needs_physical_addresses(void **state)
{
	const char mode[] = "module/vfio/parameters/enable_unsafe_noiommu_mode";

	fake_sysfs_set(&fs, "vfio/21", "%s", "");
	assert_false(host_needs_physical_addresses(fs.root));
	fake_sysfs_set(&fs, mode, "N\n");
	assert_false(host_needs_physical_addresses(fs.root));
	assert_said("0000:05:08.1", 0, "");
	fake_sysfs_set(&fs, mode, "Y\n");
	assert_true(host_needs_physical_addresses(fs.root));
	assert_said("0000:05:08.1", -EOPNOTSUPP, "start it again as root and with hugepages");

	fake_sysfs_set(&fs, mode, "N\n");
	fake_sysfs_set(&fs, "bus/pci/drivers/igb_uio/0000:05:09.1", "%s", "");
	assert_true(host_needs_physical_addresses(fs.root));
}

/* The kernel makes a group for the VF, and names its file otherwise. */
static void no_iommu_mode_has_files_of_its_own(void **state)
{
	const struct host_use use = {.physical_addresses = true};

	fake_sysfs_set(&fs, "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	assert_said_to(use, "0000:05:08.1", -ENOENT, "/vfio/21 cannot be opened");
	fake_sysfs_set(&fs, "vfio/noiommu-21", "%s", "");
	assert_said_to(use, "0000:05:08.1", 0, "");
}

static void assert_interrupts(const char *addr_text, unsigned expected)
{
	struct pci_addr addr;

	assert_int_equal(pci_addr_parse(addr_text, &addr), 0);
	assert_int_equal(host_pci_interrupts(fs.root, &addr), expected);
}

/* The list of capabilities is that of an XL710's VF: MSI-X, then PCI Express. */
static void interrupts_are_counted(void **state)
{
	static const char vf[] = "0000:05:08.1";
	uint8_t config[256] = {[0x34] = 0x70, [0x70] = 0x11, 0xa0, 0x04, 0x80, [0xa0] = 0x10};

	assert_interrupts(vf, 0);
	fake_sysfs_config(&fs, vf, config, sizeof(config));
	assert_interrupts(vf, 5);
	config[0x73] = 0x87;
	config[0x72] = 0xff;
	fake_sysfs_config(&fs, vf, config, sizeof(config));
	assert_interrupts(vf, 2048);
	fake_sysfs_config(&fs, vf, config, 64); /* what others than root can read */
	assert_interrupts(vf, 0);

	memcpy(&config[0x70], "\x10\xff", 2); /* it says that it goes on in the last four bytes */
	memcpy(&config[0xfc], "\x11\x00\x02\x00", 4);
	fake_sysfs_config(&fs, vf, config, sizeof(config));
	assert_interrupts(vf, 3);
	config[0xfc] = 0x01;
	config[0xfd] = 0x70; /* a circle */
	fake_sysfs_config(&fs, vf, config, sizeof(config));
	assert_interrupts(vf, 0);
}

/* Whatever the table of the function has. */
static void interrupts_depend_on_the_driver(void **state)
{
	const uint8_t config[256] = {[0x34] = 0x70, [0x70] = 0x11, 0xa0, 0x04, 0x80};
	static const char *const addrs[] = {"0000:05:09.1", "0000:05:08.7", "0000:05:08.5"};

	fake_sysfs_pci(&fs, addrs[0], "igb_uio", 25);
	fake_sysfs_pci(&fs, addrs[1], "mlx5_core", 24);
	fake_sysfs_pci(&fs, addrs[2], "", 23);
	for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++)
		fake_sysfs_config(&fs, addrs[i], config, sizeof(config));
	assert_interrupts(addrs[0], 1);
	assert_interrupts(addrs[1], 0);
	assert_interrupts(addrs[2], 0);
	assert_interrupts("0000:05:10.0", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drivers_are_told, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(a_missing_token_is_told, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(
			no_iommu_mode_needs_physical_addresses, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(
			no_iommu_mode_has_files_of_its_own, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(interrupts_are_counted, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(
			interrupts_depend_on_the_driver, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
