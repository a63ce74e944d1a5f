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
static void assert_said(const char *addr_text, int expected, const char *words)
{
	const struct host_use use = {0};
	struct pci_addr addr;
	struct err err = {""};

	assert_int_equal(pci_addr_parse(addr_text, &addr), 0);
	assert_int_equal(host_pci_usable(fs.root, fs.root, &addr, &use, &err), expected);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
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

static void the_token_is_told(void **state)
{
	fake_sysfs_set(&fs, "vfio/21", "%s", "");
	assert_said("0000:05:08.1", 0, "");
	fake_sysfs_pci(&fs, "0000:06:00.0", "vfio-pci", 30);
	fake_sysfs_pci(&fs, "0000:06:08.1", "vfio-pci", 31);
	fake_sysfs_vf(&fs, "0000:06:00.0", "0000:06:08.1", 0);
	fake_sysfs_set(&fs, "vfio/31", "%s", "");
	assert_said("0000:06:08.1", -EACCES, "VIRTIOFWD_VFIO_VF_TOKEN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drivers_are_told, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(the_token_is_told, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
