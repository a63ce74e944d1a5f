/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "host/numa.h"
#include "host/sysfs_fixture.h"

#define MOUNT "/" /* its block size stands for that of hugetlbfs */

static struct fake_sysfs fs;

static int make_tree(void **state)
{
	fake_sysfs_init(&fs);
	for (int cpu = 0; cpu < 4; cpu++) {
		char path[64];

		snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/node%d/cpulist", cpu,
			cpu / 2);
		fake_sysfs_set(&fs, path, "\n");
	}
	return 0;
}

static int remove_tree(void **state)
{
	fake_sysfs_fini(&fs);
	return 0;
}

static void set_pages(int node, int pages)
{
	struct statfs mount;
	char path[128];

	assert_int_equal(statfs(MOUNT, &mount), 0);
	snprintf(path, sizeof(path),
		"devices/system/node/node%d/hugepages/hugepages-%ldkB/nr_hugepages", node,
		mount.f_bsize / 1024);
	fake_sysfs_set(&fs, path, "%d\n", pages);
}

static void assert_nodes(const char *cpus, uint32_t nodes)
{
	struct cpu_set set;

	assert_int_equal(cpu_set_parse(cpus, &set, NULL), 0);
	assert_int_equal(host_numa_memory(fs.root, &set, MOUNT).nodes, nodes);
}

static void cpus_have_nodes(void **state)
{
	assert_int_equal(host_numa_node_of_cpu(fs.root, 1), 0);
	assert_int_equal(host_numa_node_of_cpu(fs.root, 2), 1);
	assert_int_equal(host_numa_node_of_cpu(fs.root, 9), -1);
}

static void memory_is_where_pages_are(void **state)
{
	assert_nodes("3", 1 << 1); /* no page anywhere, so the lack is reported there */
	assert_nodes("1-2", 1 << 0 | 1 << 1);
	set_pages(0, 8);
	set_pages(1, 0);
	assert_nodes("1-2", 1 << 0);
	assert_nodes("3", 1 << 1);
	set_pages(1, 8);
	assert_nodes("1-2", 1 << 0 | 1 << 1);
	assert_nodes("3", 1 << 1);
	assert_nodes("9", 1 << 0); /* a kernel without nodes */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(cpus_have_nodes), TEST(memory_is_where_pages_are)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
