/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/netdev.h"
#include "host/sysfs_fixture.h"

static int make_tree(void **state)
{
	static struct fake_sysfs fs;

	fake_sysfs_init(&fs);
	*state = &fs;
	return 0;
}

static int remove_tree(void **state)
{
	fake_sysfs_fini(*state);
	return 0;
}

static void expect_vf(
	struct fake_sysfs *fs, const char *netdev, const char *addr, const char *pf, int number)
{
	char text[PCI_ADDR_TEXT_SIZE];
	struct err err = {""};
	struct host_vf vf;

	if (host_vf_from_netdev(fs->root, netdev, &vf, &err) < 0)
		fail_msg("%s: %s", netdev, err.text);
	pci_addr_format(&vf.addr, text);
	assert_string_equal(text, addr);
	pci_addr_format(&vf.pf, text);
	assert_string_equal(text, pf);
	assert_int_equal(vf.number, number);
}

/* Expects an error with the code and a text that names the interface and what is missing. */
static void expect_error(struct fake_sysfs *fs, const char *netdev, int r, const char *missing)
{
	struct err err = {""};
	struct host_vf vf;

	assert_int_equal(host_vf_from_netdev(fs->root, netdev, &vf, &err), r);
	if (!strstr(err.text, netdev) || !strstr(err.text, missing))
		fail_msg("\"%s\" does not tell of %s and %s", err.text, netdev, missing);
}

static void igb_vf_by_its_own_interface(void **state)
{
	struct fake_sysfs *fs = *state;

	fake_sysfs_pci(fs, "0000:01:00.0", "", 1);
	fake_sysfs_netdev(fs, "ens3", "0000:01:00.0", NULL, NULL);
	for (int i = 0; i < 7; i++) {
		char addr[32], name[16];

		snprintf(addr, sizeof(addr), "0000:01:1%d.%d", i / 4, i % 4 * 2);
		snprintf(name, sizeof(name), "ens3v%d", i);
		fake_sysfs_pci(fs, addr, "igbvf", 2 + i);
		fake_sysfs_vf(fs, "0000:01:00.0", addr, i);
		fake_sysfs_netdev(fs, name, addr, NULL, NULL);
	}
	expect_vf(fs, "ens3v0", "0000:01:10.0", "0000:01:00.0", 0);
	expect_vf(fs, "ens3v6", "0000:01:11.4", "0000:01:00.0", 6);
	expect_error(fs, "ens3", -EINVAL, "neither");
	expect_error(fs, "ens3v7", -ENODEV, "no interface");
	fake_sysfs_remove(fs, "devices/pci0000:00/0000:01:00.0/virtfn6");
	expect_error(fs, "ens3v6", -ENODEV, "virtfn");
}

/*
 * Two PFs, each with a switch of its own. The representors' device is the PF, as in newer kernels.
 */
static void mlx5_representors(void **state)
{
	struct fake_sysfs *fs = *state;

	fake_sysfs_pci(fs, "0000:08:00.0", "mlx5_core", 1);
	fake_sysfs_pci(fs, "0000:08:00.1", "mlx5_core", 2);
	fake_sysfs_pci(fs, "0000:08:00.2", "mlx5_core", 3);
	fake_sysfs_pci(fs, "0000:08:00.3", "mlx5_core", 4);
	fake_sysfs_pci(fs, "0000:08:01.2", "mlx5_core", 5);
	fake_sysfs_vf(fs, "0000:08:00.0", "0000:08:00.2", 0);
	fake_sysfs_vf(fs, "0000:08:00.0", "0000:08:00.3", 1);
	fake_sysfs_vf(fs, "0000:08:00.1", "0000:08:01.2", 0);
	fake_sysfs_netdev(fs, "enp8s0f0np0", "0000:08:00.0", "e41d2d0300a1b2c3", "p0");
	fake_sysfs_netdev(fs, "enp8s0f1np1", "0000:08:00.1", "e41d2d0300a1b2c4", "p1");
	fake_sysfs_netdev(fs, "enp8s0f0npf0vf1", "0000:08:00.0", "e41d2d0300a1b2c3", "pf0vf1");
	fake_sysfs_netdev(fs, "enp8s0f1npf1vf0", "0000:08:00.1", "e41d2d0300a1b2c4", "pf1vf0");
	fake_sysfs_netdev(fs, "old_0", NULL, "e41d2d0300a1b2c4", "0");
	fake_sysfs_netdev(fs, "later", "0000:08:00.1", "e41d2d0300a1b2c4", "pf1vf1");
	fake_sysfs_netdev(fs, "enp8s0f0v1", "0000:08:00.3", NULL, NULL);
	fake_sysfs_netdev(fs, "sf", "0000:08:00.0", "e41d2d0300a1b2c3", "pf0sf88");

	expect_vf(fs, "enp8s0f0npf0vf1", "0000:08:00.3", "0000:08:00.0", 1);
	expect_vf(fs, "enp8s0f1npf1vf0", "0000:08:01.2", "0000:08:00.1", 0);
	expect_vf(fs, "old_0", "0000:08:01.2", "0000:08:00.1", 0);
	expect_vf(fs, "enp8s0f0v1", "0000:08:00.3", "0000:08:00.0", 1);
	expect_error(fs, "later", -ENODEV, "0000:08:00.1 has no VF 1");
	expect_error(fs, "enp8s0f0np0", -EINVAL, "\"p0\"");
	expect_error(fs, "sf", -EINVAL, "pf0sf88");
}

/* One switch for both PFs (VF LAG, multi-port): the PF's number is its PCI function. */
static void mlx5_representors_of_a_shared_switch(void **state)
{
	struct fake_sysfs *fs = *state;

	fake_sysfs_pci(fs, "0000:08:00.0", "mlx5_core", 1);
	fake_sysfs_pci(fs, "0000:08:00.1", "mlx5_core", 2);
	fake_sysfs_pci(fs, "0000:08:02.1", "mlx5_core", 3);
	fake_sysfs_vf(fs, "0000:08:00.1", "0000:08:02.1", 0);
	fake_sysfs_set(fs, "devices/pci0000:00/0000:08:00.0/sriov_numvfs", "0");
	fake_sysfs_netdev(fs, "p0", "0000:08:00.0", "aa00", "p0");
	fake_sysfs_netdev(fs, "p1", "0000:08:00.1", "aa00", "p1");
	fake_sysfs_netdev(fs, "rep", NULL, "aa00", "pf1vf0");
	fake_sysfs_netdev(fs, "unnumbered", NULL, "aa00", "vf0");
	fake_sysfs_netdev(fs, "third", NULL, "aa00", "pf2vf0");
	fake_sysfs_netdev(fs, "smartnic", "0000:08:00.1", "aa00", "c1pf1vf0");

	expect_vf(fs, "rep", "0000:08:02.1", "0000:08:00.1", 0);
	expect_error(fs, "unnumbered", -EINVAL, "2 PFs");
	expect_error(fs, "third", -ENODEV, "no PF 2");
	expect_error(fs, "smartnic", -EINVAL, "controller 1");
}

/*
 * Virtual interfaces. The device of the card's physical ports is the PF; its data vNIC has no
 * switch.
 */
static void nfp_representors(void **state)
{
	struct fake_sysfs *fs = *state;

	fake_sysfs_pci(fs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_netdev(fs, "ens1", "0000:05:00.0", NULL, "n0");
	fake_sysfs_netdev(fs, "ens1np0", "0000:05:00.0", "00154d130f8c", "p0");
	fake_sysfs_netdev(fs, "ens1np1", "0000:05:00.0", "00154d130f8c", "p1");
	fake_sysfs_netdev(fs, "eth0", NULL, "00154d130f8c", "pf0");
	fake_sysfs_netdev(fs, "eth9", NULL, "00154d130f8c", "pf0vf9");
	fake_sysfs_netdev(fs, "br0", NULL, NULL, NULL);
	expect_error(fs, "eth9", -ENODEV, "no PF");

	fake_sysfs_pci(fs, "0000:05:09.1", "nfp", 2);
	fake_sysfs_vf(fs, "0000:05:00.0", "0000:05:09.1", 9);
	fake_sysfs_netdev(fs, "eth10", NULL, "00154d130f8c", "pf0c0vf9");
	fake_sysfs_netdev(fs, "eth11", NULL, "00154d130f8c", "vf9");
	fake_sysfs_netdev(fs, "eth12", NULL, "00154d130f8c", "pf0vf10");
	fake_sysfs_netdev(fs, "eth13", NULL, "ffff", "pf0vf9");
	fake_sysfs_netdev(fs, "eth14", NULL, NULL, "pf0vf9");

	expect_vf(fs, "eth9", "0000:05:09.1", "0000:05:00.0", 9);
	expect_vf(fs, "eth10", "0000:05:09.1", "0000:05:00.0", 9);
	expect_vf(fs, "eth11", "0000:05:09.1", "0000:05:00.0", 9);
	expect_error(fs, "eth12", -ENODEV, "no VF 10");
	expect_error(fs, "eth13", -ENODEV, "ffff");
	expect_error(fs, "eth14", -EINVAL, "phys_switch_id");
	expect_error(fs, "eth0", -EINVAL, "\"pf0\"");
	expect_error(fs, "ens1", -EINVAL, "\"n0\"");
	expect_error(fs, "br0", -EINVAL, "neither");
}

/*
 * Several cards with one switch: the controller's number counts them in the order of their
 * addresses.
 */
static void controllers_count_cards(void **state)
{
	struct fake_sysfs *fs = *state;

	fake_sysfs_pci(fs, "0000:85:00.0", "nfp", 1);
	fake_sysfs_pci(fs, "0000:05:00.0", "nfp", 2);
	fake_sysfs_pci(fs, "0000:85:08.0", "nfp", 3);
	fake_sysfs_pci(fs, "0000:05:08.0", "nfp", 4);
	fake_sysfs_vf(fs, "0000:85:00.0", "0000:85:08.0", 0);
	fake_sysfs_vf(fs, "0000:05:00.0", "0000:05:08.0", 0);
	fake_sysfs_netdev(fs, "p0", "0000:85:00.0", "aa", "p0");
	fake_sysfs_netdev(fs, "p1", "0000:05:00.0", "aa", "p1");
	fake_sysfs_netdev(fs, "a", NULL, "aa", "pf0c0vf0");
	fake_sysfs_netdev(fs, "b", NULL, "aa", "pf0c1vf0");
	fake_sysfs_netdev(fs, "c", NULL, "aa", "c1pf0vf0");
	fake_sysfs_netdev(fs, "d", NULL, "aa", "pf0c2vf0");

	expect_vf(fs, "a", "0000:05:08.0", "0000:05:00.0", 0);
	expect_vf(fs, "b", "0000:85:08.0", "0000:85:00.0", 0);
	expect_vf(fs, "c", "0000:85:08.0", "0000:85:00.0", 0);
	expect_error(fs, "d", -EINVAL, "controller 2");
}

static void names_cannot_lead_out_of_the_tree(void **state)
{
	struct fake_sysfs *fs = *state;
	const char *const names[] = {"", ".", "..", "../net", "a/b", "a b", "sixteen-letters-"};
	struct host_vf vf;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(host_vf_from_netdev(fs->root, names[i], &vf, NULL), -EINVAL);
}

static void facts_of_functions(void **state)
{
	const struct pci_addr pf = {0, 5, 0, 0}, vf = {0, 5, 8, 1}, none = {0, 6, 0, 0};
	struct fake_sysfs *fs = *state;
	char driver[HOST_DRIVER_SIZE], netdev[IFNAMSIZ];
	struct host_vf *vfs;
	unsigned n;

	fake_sysfs_pci(fs, "0000:05:00.0", "nfp", -1);
	fake_sysfs_pci(fs, "0000:05:08.1", "", 17);
	fake_sysfs_pci(fs, "0000:05:08.0", "vfio-pci", 18);
	fake_sysfs_vf(fs, "0000:05:00.0", "0000:05:08.0", 10);
	fake_sysfs_vf(fs, "0000:05:00.0", "0000:05:08.1", 9);
	fake_sysfs_set(fs, "devices/pci0000:00/0000:05:08.1/numa_node", "1");
	fake_sysfs_netdev(fs, "ens1np1", "0000:05:00.0", NULL, NULL);
	fake_sysfs_netdev(fs, "ens1np0", "0000:05:00.0", NULL, NULL);

	assert_int_equal(host_pci_driver(fs->root, &pf, driver), 0);
	assert_string_equal(driver, "nfp");
	assert_int_equal(host_pci_driver(fs->root, &vf, driver), -ENOENT);
	assert_int_equal(host_pci_driver(fs->root, &none, driver), -ENODEV);
	assert_int_equal(host_pci_numa_node(fs->root, &vf), 1);
	assert_int_equal(host_pci_numa_node(fs->root, &pf), -1);
	assert_int_equal(host_pci_iommu_group(fs->root, &vf), 17);
	assert_int_equal(host_pci_iommu_group(fs->root, &pf), -ENOENT);
	assert_int_equal(host_pci_netdev(fs->root, &pf, netdev), 0);
	assert_string_equal(netdev, "ens1np0");
	assert_int_equal(host_pci_netdev(fs->root, &vf, netdev), -ENOENT);
	assert_true(host_pci_is_pf(fs->root, &pf));
	assert_false(host_pci_is_pf(fs->root, &vf));
	assert_int_equal(host_vf_link_ups(fs->root, &vf), 0);
	fake_sysfs_set(fs, "devices/pci0000:00/0000:05:00.0/net/ens1np0/carrier_up_count", "3");
	assert_int_equal(host_vf_link_ups(fs->root, &vf), 3);
	assert_int_equal(host_vf_link_ups(fs->root, &pf), 0);

	assert_int_equal(host_vf_list(fs->root, NULL, &vfs, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(vfs[0].number, 9);
	assert_int_equal(vfs[1].number, 10);
	assert_true(pci_addr_equal(&vfs[0].addr, &vf));
	free(vfs);
	assert_int_equal(host_vf_list(fs->root, &vf, &vfs, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(vfs);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(igb_vf_by_its_own_interface),
		IN_TREE(mlx5_representors),
		IN_TREE(mlx5_representors_of_a_shared_switch),
		IN_TREE(nfp_representors),
		IN_TREE(controllers_count_cards),
		IN_TREE(names_cannot_lead_out_of_the_tree),
		IN_TREE(facts_of_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
