/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "host/readiness.h"
#include "host/sysfs_fixture.h"

#define SIZE "hugepages/hugepages-2048kB/"
#define PAGES SIZE "free_hugepages"
#define RESERVED SIZE "resv_hugepages"

static struct fake_sysfs fs;
static char found[4096]; /* the findings of a test, one per line */

static void note(void *userdata, const char *check, enum host_verdict verdict, const char *text)
{
	size_t length = strlen(found);

	snprintf(found + length, sizeof(found) - length, "%d %s: %s\n", (int)verdict, check, text);
}

static int make_tree(void **state)
{
	fake_sysfs_init(&fs);
	fake_sysfs_pci(&fs, "0000:05:08.1", "vfio-pci", 21);
	fake_sysfs_set(&fs, "bus/pci/devices/0000:05:08.1/numa_node", "1\n");
	found[0] = '\0';
	return 0;
}

static int remove_tree(void **state)
{
	fake_sysfs_fini(&fs);
	return 0;
}

static void assert_found(const char *words)
{
	if (strstr(found, words) == NULL)
		fail_msg("no '%s' in:\n%s", words, found);
}

static void assert_not_found(const char *words)
{
	if (strstr(found, words) != NULL)
		fail_msg("'%s' in:\n%s", words, found);
}

static void require_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("only root can do this\n");
	skip();
}

static struct host_needs needs_of(const struct device_id *id, const struct cpu_set *cpus)
{
	return (struct host_needs){.devices = id,
		.n_devices = 1,
		.worker_cpus = cpus,
		.huge_dir = "/dev/hugepages",
		.sees_physical_addresses = true,
		.bytes = 32 << 20};
}

static void test_vfio(void **state)
{
	struct device_id id;
	struct cpu_set cpus = {0};

	assert_int_equal(device_id_parse("0000:05:08.1", &id, NULL), 0);
	struct host_needs needs = needs_of(&id, &cpus);
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("2 iommu: off");
	assert_found("intel_iommu=on");
	assert_found("0 vfio: vfio-pci is loaded");

	found[0] = '\0';
	needs.n_devices = 0; /* nothing needs it */
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("1 iommu: off");

	found[0] = '\0';
	needs.bind_vfio_pci = "ens3"; /* what is attached later needs it */
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("2 iommu: off");

	/* Nor do these need it, unless they are bound to vfio-pci first. */
	fake_sysfs_pci(&fs, "0000:05:09.1", "mlx5_core", 24);
	fake_sysfs_pci(&fs, "0000:05:09.2", "igb_uio", 25);
	needs.n_devices = 1;
	for (unsigned i = 1; i <= 2; i++) {
		id.pci.function = i;
		id.pci.slot = 9;
		needs.bind_vfio_pci = NULL;
		found[0] = '\0';
		host_check_vfio(fs.root, &needs, note, NULL);
		assert_found("1 iommu: off");
		needs.bind_vfio_pci = "05:09.1,05:09.2";
		host_check_vfio(fs.root, &needs, note, NULL);
		assert_found("2 iommu: off");
	}

	found[0] = '\0';
	fake_sysfs_set(&fs, "class/iommu/dmar0/version", "1\n");
	fake_sysfs_set(&fs, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	fake_sysfs_remove(&fs, "bus/pci/drivers/vfio-pci/unbind");
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("0 iommu: on");
	assert_found("1 vfio: allow_unsafe_interrupts is on");

	found[0] = '\0';
	fake_sysfs_set(&fs, "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("1 iommu: on, but VFIO's no-IOMMU mode is allowed");
	found[0] = '\0';
	fake_sysfs_remove(&fs, "class/iommu/dmar0");
	host_check_vfio(fs.root, &needs, note, NULL);
	assert_found("1 iommu: off, and VFIO does without");
}

static void test_cpus(void **state)
{
	struct device_id id;
	struct cpu_set cpus = {0};

	assert_int_equal(device_id_parse("0000:05:08.1", &id, NULL), 0);
	assert_int_equal(cpu_set_parse("2,3,8", &cpus, NULL), 0);
	const struct host_needs needs = needs_of(&id, &cpus);
	host_check_cpus(fs.root, &needs, note, NULL);
	assert_found("1 cpus: worker CPUs 2-3,8 are not isolated");
	assert_found("isolcpus=");

	found[0] = '\0';
	fake_sysfs_set(&fs, "devices/system/cpu/isolated", "2-8\n");
	fake_sysfs_set(&fs, "devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n");
	fake_sysfs_set(&fs, "devices/system/node/node1/cpulist", "8-15\n");
	host_check_cpus(fs.root, &needs, note, NULL);
	assert_found("0 cpus: the workers' are isolated");
	assert_found("1 cpus: CPU 3 has the governor powersave");
	assert_found("1 cpus: worker CPUs 2-3 are not on NUMA node 1");
}

/* Machines that number their CPUs alternately over the nodes: the kernel's lists have no ranges. */
static void test_long_cpu_lists(void **state)
{
	char list[512] = "1";
	size_t length = 1;
	struct device_id id;
	struct cpu_set cpus = {0};

	for (unsigned cpu = 3; cpu < 160; cpu += 2)
		length += sprintf(list + length, ",%u", cpu);
	assert_int_equal(device_id_parse("0000:05:08.1", &id, NULL), 0);
	assert_int_equal(cpu_set_parse(list, &cpus, NULL), 0);
	const struct host_needs needs = needs_of(&id, &cpus);
	fake_sysfs_set(&fs, "devices/system/cpu/isolated", "%s\n", list);
	fake_sysfs_set(&fs, "devices/system/node/node1/cpulist", "%s\n", list);
	host_check_cpus(fs.root, &needs, note, NULL);
	assert_string_equal(found, "0 cpus: the workers' are isolated\n");

	found[0] = '\0';
	fake_sysfs_set(&fs, "devices/system/cpu/isolated", "\n");
	host_check_cpus(fs.root, &needs, note, NULL);
	assert_found("1 cpus: worker CPUs 1,3,5");
	assert_found(",157,159 are not isolated");
	assert_found("rcu_nocbs= on the kernel's command line\n");
}

static void test_devices(void **state)
{
	struct device_id id;
	struct cpu_set cpus = {0};

	assert_int_equal(device_id_parse("0000:05:08.2", &id, NULL), 0);
	struct host_needs needs = needs_of(&id, &cpus);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: device 0000:05:08.2 is no PCI device of this host");
	found[0] = '\0';
	fake_sysfs_pci(&fs, "0000:05:08.2", "igbvf", 22);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: ");
	assert_found("vio4wd vf bind 0000:05:08.2");
	found[0] = '\0';
	fake_sysfs_pci(&fs, "0000:05:08.3", "vfio-pci", 23);
	fake_sysfs_set(&fs, "vfio/23", "%s", "");
	assert_int_equal(device_id_parse("0000:05:08.3", &id, NULL), 0);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("0 devices: 0000:05:08.3 can be used");

	/* The daemon binds it itself before it opens it. */
	assert_int_equal(device_id_parse("0000:05:08.2", &id, NULL), 0);
	needs.bind_vfio_pci = "05:08.2,05:08.4";
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("0 devices: 0000:05:08.2 is bound to vfio-pci when the daemon starts");
	assert_int_equal(device_id_parse("0000:05:08.4", &id, NULL), 0);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: VIRTIOFWD_BIND_VFIO_PCI: 0000:05:08.4 is no PCI device");
	assert_not_found("device 0000:05:08.4");
	fake_sysfs_pci(&fs, "0000:05:09.1", "igb_uio", 24);
	fake_sysfs_set(&fs, "bus/pci/drivers/igb_uio/0000:05:09.1", "%s", "");
	assert_int_equal(device_id_parse("0000:05:09.1", &id, NULL), 0);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("0 devices: 0000:05:09.1 can be used");
	needs.huge_dir = NULL;
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: device 0000:05:09.1 is bound to igb_uio, which needs physical");

	/* So does VFIO, if it may do without an IOMMU. */
	fake_sysfs_set(&fs, "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	assert_int_equal(device_id_parse("0000:05:08.3", &id, NULL), 0);
	needs.huge_dir = "/dev/hugepages";
	needs.sees_physical_addresses = false;
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: device 0000:05:08.3 is bound to vfio-pci, which needs physical");
	found[0] = '\0';
	needs.sees_physical_addresses = true;
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("0 devices: 0000:05:08.3 can be used");
}

/* Of a PF that is bound to vfio-pci. Nobody has tried the token yet. */
static void test_devices_that_want_a_token(void **state)
{
	struct device_id id;
	struct cpu_set cpus = {0};
	struct host_needs needs = needs_of(&id, &cpus);

	assert_int_equal(device_id_parse("0000:06:08.1", &id, NULL), 0);
	fake_sysfs_pci(&fs, "0000:06:00.0", "vfio-pci", 30);
	fake_sysfs_pci(&fs, "0000:06:08.1", "vfio-pci", 31);
	fake_sysfs_vf(&fs, "0000:06:00.0", "0000:06:08.1", 0);
	fake_sysfs_set(&fs, "vfio/31", "%s", "");
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: device 0000:06:08.1: its PF is bound to vfio-pci");
	found[0] = '\0';
	needs.vf_token = true;
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_string_equal(found, "0 devices: 0000:06:08.1 can be used\n");
}

/* What the daemon has open is in use; what the kernel has, the daemon has lost. */
static void test_devices_of_the_running_daemon(void **state)
{
	struct device_id ids[4];
	struct cpu_set cpus = {0};
	struct host_needs needs = needs_of(ids, &cpus);

	assert_int_equal(device_id_parse("0000:05:08.1", &ids[0], NULL), 0); /* no /dev/vfio/21 */
	assert_int_equal(device_id_parse("net_null0", &ids[1], NULL), 0);
	assert_int_equal(device_id_parse("0000:05:08.2", &ids[2], NULL), 0);
	assert_int_equal(device_id_parse("0000:05:08.3", &ids[3], NULL), 0);
	needs.running = true;
	needs.n_devices = 2;
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_string_equal(found, "0 devices: the running daemon has them\n");
	found[0] = '\0';
	needs.n_devices = 4;
	fake_sysfs_pci(&fs, "0000:05:08.2", "igbvf", 22);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: device 0000:05:08.2 is bound to the kernel's driver igbvf");
	assert_found("2 devices: device 0000:05:08.3 is no PCI device of this host");
	assert_not_found("05:08.1");
	assert_not_found("the running daemon has them");
}

/* Devices to bind are checked even if they are attached later only. */
static void test_devices_to_bind(void **state)
{
	struct host_needs needs = {.bind_vfio_pci = "ens3:2,nosuch,05:0a.1,05:08.1"};

	fake_sysfs_pci(&fs, "0000:05:00.0", "igb", 31);
	fake_sysfs_netdev(&fs, "ens3", "0000:05:00.0", NULL, NULL);
	fake_sysfs_pci(&fs, "0000:05:0a.1", "igbvf", -1);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_found("2 devices: VIRTIOFWD_BIND_VFIO_PCI: ens3 (0000:05:00.0) has 0 VFs; make them "
		     "first");
	assert_found("2 devices: VIRTIOFWD_BIND_VFIO_PCI: there is no interface nosuch");
	assert_found("2 devices: VIRTIOFWD_BIND_VFIO_PCI: 0000:05:0a.1 has no IOMMU group");
	assert_found("0 devices: 0000:05:08.1 is bound to vfio-pci\n");
	assert_not_found("none is configured");

	found[0] = '\0';
	fake_sysfs_pci(&fs, "0000:05:0a.0", "igbvf", 32);
	fake_sysfs_vf(&fs, "0000:05:00.0", "0000:05:0a.0", 0);
	needs.bind_vfio_pci = "ens3";
	fake_sysfs_remove(&fs, "bus/pci/drivers"); /* the service loads it */
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_string_equal(
		found, "0 devices: 0000:05:0a.0 is bound to vfio-pci when the daemon starts\n");
}

/* As with the drop-in that makes the service run as a user other than root. */
static void test_devices_that_only_root_binds(void **state)
{
	const struct host_needs needs = {.bind_vfio_pci = "05:08.2"};

	fake_sysfs_pci(&fs, "0000:05:08.2", "igbvf", 22);
	assert_int_equal(chmod(fs.base, 0755), 0);
	require_root();
	assert_int_equal(setresuid(65534, 65534, 0), 0);
	host_check_devices(fs.root, fs.root, &needs, note, NULL);
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_found("2 devices: VIRTIOFWD_BIND_VFIO_PCI: 0000:05:08.2: no permission to bind it "
		     "to vfio-pci; run as root");
}

/* A hugetlbfs in the tree, which only this process sees. Returns where it is. */
static const char *mount_hugetlbfs(void)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/huge", fs.root);
	assert_int_equal(mkdir(path, 0700), 0);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", path, "hugetlbfs", 0, "pagesize=2M") != 0) {
		print_message("no hugetlbfs can be mounted: %s\n", strerror(errno));
		skip();
	}
	return path;
}

static void test_hugepages(void **state)
{
	struct device_id id;
	struct cpu_set cpus = {0};

	assert_int_equal(device_id_parse("0000:05:08.1", &id, NULL), 0);
	struct host_needs needs = needs_of(&id, &cpus);
	needs.huge_dir = "/proc";
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_found("2 hugepages: /proc is no hugetlbfs: mount");

	found[0] = '\0';
	needs.huge_dir = mount_hugetlbfs();
	fake_sysfs_set(&fs, "kernel/mm/" PAGES, "21\n");
	fake_sysfs_set(&fs, "devices/system/node/node1/" PAGES, "6\n");
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_found("2 hugepages: 21 of 2048 KiB are free, 22 are needed: add 1 ");
	assert_found("0 hugepages: 6 of 2048 KiB are free on NUMA node 1, 6 are needed");

	found[0] = '\0';
	fake_sysfs_set(&fs, "kernel/mm/" PAGES, "22\n");
	fake_sysfs_set(&fs, "devices/system/node/node1/" PAGES, "1\n");
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_found("0 hugepages: 22");
	assert_found("1 hugepages: 1 of 2048 KiB are free on NUMA node 1, 6 are needed: add 5 ");
	assert_found("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");

	/* VMs have reserved 20 of the free pages. */
	found[0] = '\0';
	fake_sysfs_set(&fs, "kernel/mm/" RESERVED, "20\n");
	fake_sysfs_set(&fs, "devices/system/node/node1/" PAGES, "6\n");
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_found("2 hugepages: 2 of 2048 KiB are free, 22 are needed: add 20 ");
	assert_found("1 hugepages: 2 of 2048 KiB are free on NUMA node 1, 6 are needed: add 4 ");

	/* The kernel would make 25 more on any node. */
	found[0] = '\0';
	fake_sysfs_set(&fs, "kernel/mm/" SIZE "nr_overcommit_hugepages", "30\n");
	fake_sysfs_set(&fs, "kernel/mm/" SIZE "surplus_hugepages", "5\n");
	fake_sysfs_set(&fs, "devices/system/node/node1/" PAGES, "1\n");
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_found("0 hugepages: 27 of 2048 KiB are free, 22 are needed\n");
	assert_found("0 hugepages: 26 of 2048 KiB are free on NUMA node 1, 6 are needed\n");
	fake_sysfs_set(&fs, "kernel/mm/" SIZE "nr_overcommit_hugepages", "0\n");
	fake_sysfs_set(&fs, "kernel/mm/" RESERVED, "0\n");

	/* Memory on the workers' nodes only. */
	found[0] = '\0';
	cpu_set_add(&cpus, 3);
	needs.same_numa = true;
	fake_sysfs_set(&fs, "devices/system/cpu/cpu3/node2/cpulist", "3\n");
	fake_sysfs_set(&fs, "devices/system/node/node2/" PAGES, "21\n");
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_not_found("node 1");
	assert_found("1 hugepages: 21 of 2048 KiB are free on NUMA node 2, 22 are needed: add 1 ");

	found[0] = '\0';
	needs.running = true;
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_string_equal(found,
		"0 hugepages: the running daemon has its own; 22 of 2048 KiB are free for more "
		"devices\n"
		"0 hugepages: 1 of these are on NUMA node 1\n"
		"0 hugepages: 21 of these are on NUMA node 2\n");
	assert_int_equal(umount2(needs.huge_dir, MNT_DETACH), 0);
}

/* As the unprivileged service finds /dev/hugepages. */
static void test_hugepages_of_root(void **state)
{
	struct cpu_set cpus = {0};
	struct host_needs needs = needs_of(NULL, &cpus);

	require_root();
	needs.n_devices = 0;
	needs.huge_dir = mount_hugetlbfs();
	fake_sysfs_set(&fs, "kernel/mm/" PAGES, "21\n");
	assert_int_equal(chmod(fs.base, 0755), 0);
	assert_int_equal(chmod(needs.huge_dir, 0755), 0);
	assert_int_equal(setresuid(65534, 65534, 0), 0);
	host_check_hugepages(fs.root, &needs, note, NULL);
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_found("2 hugepages: /tmp/fake-sysfs-");
	assert_found("Permission denied; mount it for the daemon's user");
	assert_int_equal(umount2(needs.huge_dir, MNT_DETACH), 0);
}

/* An account that most systems have, and the only group of its own. */
#define DAEMON_UID 1
#define DAEMON_GID 1

static bool optional, running;

static void look_at_directory(const char *path, uid_t uid, bool writes)
{
	const struct vm_account vms = {.owner = "someone",
		.group = "something",
		.uid = uid,
		.gid = 4711,
		.makes_sockets = writes};

	found[0] = '\0';
	host_check_socket_dir(path, &vms, optional, running, note, NULL);
}

static void test_directory(void **state)
{
	char path[PATH_MAX];

	look_at_directory("/tmp/nonexistent", 65534, true);
	assert_found("0 sockets: /tmp/nonexistent is made for someone");
	look_at_directory("/tmp/nonexistent//", 65534, true);
	assert_found("0 sockets: /tmp/nonexistent// is made for someone");
	look_at_directory("/nonexistent/x/y", 0, true); /* the daemon creates it */
	assert_found("2 sockets: socket directory /nonexistent/x/y: /nonexistent: No such file");
	look_at_directory("/proc/version/x", 0, true);
	assert_found("2 sockets: socket directory /proc/version/x: /proc/version is no directory");

	snprintf(path, sizeof(path), "%s/sockets", fs.base); /* the tree is 0700 */
	assert_int_equal(mkdir(path, 0755), 0);
	look_at_directory(path, 65534, false);
	assert_found("2 sockets: socket directory /tmp/fake-sysfs-");
	assert_found(": owner and mode of /tmp/fake-sysfs-");
	assert_found(" keep out someone, as whom VMs run");
	assert_int_equal(chmod(fs.base, 0755), 0);
	look_at_directory(path, 65534, false);
	assert_found("can be used by someone");
	assert_not_found("2 ");
	look_at_directory(path, 65534, true);
	assert_found("2 sockets: ");
	assert_found("chown someone /tmp/fake-sysfs-");
}

/* VMs that can write where the daemon makes the sockets can take their names. */
static void test_directory_in_which_vms_can_replace_sockets(void **state)
{
	static const char replaced[] = "can put something else in place of the daemon's sockets";

	look_at_directory("/tmp", 65534, false);
	assert_found("1 sockets: socket directory /tmp: someone, as whom VMs run");
	assert_found(replaced);
	look_at_directory("/tmp", 65534, true);
	assert_found("0 sockets: ");
	look_at_directory("/tmp", 0, false);
	assert_found("0 sockets: ");
	look_at_directory("/tmp", -1, false);
	assert_not_found(replaced);
	look_at_directory("/", 65534, false);
	assert_found("0 sockets: ");
}

/* With dynamic sockets, the sockets may be elsewhere. */
static void test_directory_that_may_not_be_needed(void **state)
{
	optional = true;
	look_at_directory("/nonexistent/x/y", 0, true);
	assert_found("1 sockets: socket directory /nonexistent/x/y: /nonexistent: No such file");
	look_at_directory("/tmp", 65534, false);
	assert_found("0 sockets: ");
	optional = false;
}

static void test_directory_that_has_gone(void **state)
{
	running = true;
	look_at_directory("/tmp/nonexistent", 65534, true);
	assert_found("2 sockets: socket directory /tmp/nonexistent has gone while the daemon runs");
	assert_found("its log says why not");
	optional = true;
	look_at_directory("/tmp/nonexistent", 65534, false);
	assert_found("1 sockets: ");
	assert_found("make it again");
	look_at_directory("/tmp", 0, false);
	assert_found("0 sockets: ");
	optional = running = false;
}

static void test_directory_that_cannot_be_made(void **state)
{
	char path[PATH_MAX];

	require_root();
	snprintf(path, sizeof(path), "%s/sockets", fs.base);
	assert_int_equal(chmod(fs.base, 0755), 0);
	assert_int_equal(seteuid(DAEMON_UID), 0);
	look_at_directory(path, 65534, true);
	assert_int_equal(seteuid(0), 0);
	assert_found("2 sockets: socket directory /tmp/");
	assert_found("/sockets cannot be made in /tmp/");
	assert_found(": Permission denied");
}

/* No account is known, so nobody can tell whether QEMU has access. */
static void test_directory_of_nobody(void **state)
{
	look_at_directory("/tmp", -1, true);
	assert_found("1 sockets: there is no user someone");
	look_at_directory("/tmp/nonexistent", -1, true);
	assert_found("1 sockets: there is no user someone");
	look_at_directory("/nonexistent/x", -1, true);
	assert_found("2 sockets: ");
}

/* The configured group, and those that the account is a member of. */
static void test_directory_of_a_group(void **state)
{
	char path[PATH_MAX];

	require_root();
	snprintf(path, sizeof(path), "%s/sockets", fs.base);
	assert_int_equal(mkdir(path, 0770), 0);
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(chmod(fs.base, 0755), 0);
	look_at_directory(path, DAEMON_UID, true);
	assert_found("keep out someone");
	assert_int_equal(chown(path, 0, 4711), 0);
	look_at_directory(path, DAEMON_UID, true);
	assert_found("0 sockets: ");
	assert_int_equal(chown(path, 0, DAEMON_GID), 0);
	look_at_directory(path, DAEMON_UID, true);
	assert_found("0 sockets: ");
	assert_int_equal(chown(path, 0, 4712), 0);
	look_at_directory(path, DAEMON_UID, true);
	assert_found("keep out someone");
	assert_int_equal(chown(path, DAEMON_UID, 4712), 0);
	look_at_directory(path, DAEMON_UID, true);
	assert_found("0 sockets: ");
}

/* A directory of somebody who may have created it before the daemon. */
static void test_directory_of_another(void **state)
{
	char path[PATH_MAX];

	require_root();
	snprintf(path, sizeof(path), "%s/sockets", fs.base);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, 4711, 4711), 0);
	assert_int_equal(chmod(fs.base, 01777), 0);
	look_at_directory(path, 0, true);
	assert_found("2 sockets: directory /tmp/fake-sysfs-");
	assert_found("belongs to user 4711");

	assert_int_equal(chmod(fs.base, 0755), 0); /* only root may create directories in it */
	look_at_directory(path, 0, true);
	assert_found("0 sockets: ");
	assert_int_equal(chmod(fs.base, 01777), 0);
	assert_int_equal(chown(path, 0, 0), 0);
	look_at_directory(path, 0, true);
	assert_not_found("2 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)
	const struct CMUnitTest tests[] = {TEST(test_vfio), TEST(test_cpus),
		TEST(test_long_cpu_lists), TEST(test_devices), TEST(test_devices_to_bind),
		TEST(test_devices_that_only_root_binds), TEST(test_devices_of_the_running_daemon),
		TEST(test_devices_that_want_a_token), TEST(test_hugepages),
		TEST(test_hugepages_of_root), TEST(test_directory), TEST(test_directory_of_nobody),
		TEST(test_directory_in_which_vms_can_replace_sockets),
		TEST(test_directory_that_may_not_be_needed), TEST(test_directory_that_has_gone),
		TEST(test_directory_that_cannot_be_made), TEST(test_directory_of_a_group),
		TEST(test_directory_of_another)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
