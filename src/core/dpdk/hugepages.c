/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/hugepages.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define LOCK_POLL_MS 10
#define LOCK_POLLS 50

#define NODES "/sys/devices/system/node" /* some kernels do not have it */

/*
 * The page size of the mount in use; 0: ordinary pages. Set once at start. Global to the process,
 * as is DPDK's memory, which it describes.
 */
static uint64_t page_bytes;
static const char *mount_point;     /* likewise */
static struct numa_set confined_to; /* the same holds for this */

static long read_long(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

/*
 * The sysfs directory of the pages in use: of one node, or with `node` -1 of the whole machine.
 */
static void sysfs_folder(int node, char *ret_path, size_t size)
{
	if (node < 0 || access(NODES, F_OK) < 0)
		snprintf(ret_path, size, "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB",
			page_bytes / 1024);
	else
		snprintf(ret_path, size, NODES "/node%d/hugepages/hugepages-%" PRIu64 "kB", node,
			page_bytes / 1024);
}

static long read_count(int node, const char *what)
{
	char folder[128], path[160];

	sysfs_folder(node, folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/%s", folder, what);
	return read_long(path);
}

/*
 * The free pages that nobody has reserved. A VM reserves its pages long before it has touched all
 * of them; the kernel tells how many these are for the whole machine only.
 */
static long count_free(int node)
{
	long on_machine =
		MAX(read_count(-1, "free_hugepages") - read_count(-1, "resv_hugepages"), 0);

	return node < 0 ? on_machine : MIN(MAX(read_count(node, "free_hugepages"), 0), on_machine);
}

/* How many more pages the mount may have; without size=, any number. */
static long count_allowed(void)
{
	struct statfs fs;

	return statfs(mount_point, &fs) == 0 && (long)fs.f_blocks > 0 ? (long)fs.f_bavail
	                                                              : LONG_MAX;
}

int hugepages_use(const char *dir, struct err *err)
{
	struct statfs fs;

	page_bytes = 0;
	if (dir[0] == '\0')
		return 0;
	if (statfs(dir, &fs) < 0)
		return err_set(err, errno,
			"huge page mount %s: %s; name another with "
			"VIRTIOFWD_HUGETLBFS_MOUNT_POINT or --huge-dir (systemd's is "
			"/dev/hugepages), or make it and mount one (mount -t hugetlbfs none %s)",
			dir, strerror(errno), dir);
	if (fs.f_type != HUGETLBFS_MAGIC)
		return err_set(err, ENODEV,
			"huge page mount %s is not a hugetlbfs: mount one there (mount -t "
			"hugetlbfs none %s), "
			"name another with --huge-dir, or try without with --no-huge",
			dir, dir);
	if (access(dir, W_OK | X_OK) < 0 && errno == EROFS)
		return err_set(err, EROFS,
			"huge page mount %s is read-only here; give it to the service by "
			"ReadWritePaths=%s (systemctl edit virtio-forwarder), or remount it",
			dir, dir);
	if (access(dir, W_OK | X_OK) < 0)
		return err_set(err, errno,
			"huge page mount %s: %s; mount it for the daemon's user (mount -t "
			"hugetlbfs -o uid=USER,mode=0700 none %s)",
			dir, strerror(errno), dir);
	page_bytes = fs.f_bsize;
	mount_point = dir;
	return 0;
}

void hugepages_confine(struct numa_set nodes)
{
	confined_to = nodes;
}

int hugepages_node(int node)
{
	return numa_set_choose(confined_to, node);
}

int hugepages_require(uint64_t bytes, int node, struct err *err)
{
	if (page_bytes == 0 ||
		(uint64_t)MIN(count_free(node), count_allowed()) * page_bytes >= bytes)
		return 0;
	return hugepages_missing(bytes, node, err);
}

int hugepages_missing(uint64_t bytes, int node, struct err *err)
{
	if (page_bytes == 0)
		return err_set(err, ENOMEM,
			"out of memory: %" PRIu64 " MiB more are needed, and --no-huge has %d MiB "
			"in all; use hugepages instead",
			(bytes >> 20) + 1, NO_HUGE_MIB);

	char folder[128], where[32] = "";
	long needed = (long)((bytes + page_bytes - 1) / page_bytes);
	long free_pages = count_free(node);
	long all = read_count(node, "nr_hugepages");

	sysfs_folder(node, folder, sizeof(folder));
	if (node >= 0)
		snprintf(where, sizeof(where), " on NUMA node %d", node);
	if (free_pages >= needed && count_allowed() < needed)
		return err_set(err, ENOMEM,
			"too few huge pages: %ld of %" PRIu64
			" kB are needed, and the size= of the mount %s allows %ld; mount it with "
			"more, or without size=",
			needed, page_bytes / 1024, mount_point, count_allowed());
	if (free_pages >= needed)
		return err_set(err, ENOMEM,
			"out of memory%s, though %ld huge pages of %" PRIu64
			" kB are free; a control group may allow fewer (hugetlb.*.max; for a pod, "
			"its limits of hugepages-...)",
			where, free_pages, page_bytes / 1024);
	return err_set(err, ENOMEM,
		"too few huge pages%s: %ld of %" PRIu64
		" kB are needed, %ld are free; add them with: echo %ld "
		"> %s/nr_hugepages",
		where, needed, page_bytes / 1024, free_pages, MAX(all, 0) + needed - free_pages,
		folder);
}

/* An error is as good as another holder here: the caller goes on without the lock. */
static bool lock_in_time(int fd, int polls)
{
	const struct timespec interval = {.tv_nsec = LOCK_POLL_MS * 1000000L};

	while (syscall(SYS_flock, fd, LOCK_EX | LOCK_NB) < 0) {
		if (--polls <= 0)
			return false;
		nanosleep(&interval, NULL);
	}
	return true;
}

/*
 * In place of libc's. DPDK locks the hugetlbfs whenever it gets or returns pages, and would wait
 * for ever. But whoever may read the directory can hold that lock, and another program that
 * uses DPDK does so for as long as it starts. The lock keeps such a program from removing a file of
 * ours between its creation and DPDK's next calls, in which case no more than that allocation
 * fails. (No other program has files of the same names: eal.c.) So the wait is a short one, and
 * there is none while the same holder stays. Any thread.
 */
int flock(int fd, int operation)
{
	static atomic_bool is_held;
	struct statfs fs;

	if (operation != LOCK_EX || fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return (int)syscall(SYS_flock, fd, operation);
	bool locked = lock_in_time(fd, atomic_load(&is_held) ? 1 : LOCK_POLLS);
	if (!atomic_exchange(&is_held, !locked) && !locked)
		log_warning("huge page mount %s: another program has held its lock for %d ms "
			    "(lslocks shows which); going on without it",
			mount_point, LOCK_POLLS * LOCK_POLL_MS);
	return 0;
}
