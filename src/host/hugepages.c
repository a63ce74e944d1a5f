/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/hugepages.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/util.h"
#include "host/sysfs.h"

#define BLOCK_BYTES 512 /* of st_blocks */

/* What is reserved for the mount, in bytes, whether it is in use or not. */
static uint64_t min_size(dev_t device)
{
	static const char option[] = ",min_size=";
	_cleanup_free_ char *line = NULL;
	unsigned major_number, minor_number;
	uint64_t bytes = 0;
	size_t size = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f != NULL && getline(&line, &size, f) > 0) {
		const char *found = strstr(line, option);

		if (found != NULL &&
			sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) == 2 &&
			makedev(major_number, minor_number) == device)
			bytes = strtoull(found + strlen(option), NULL, 10);
	}
	if (f != NULL)
		fclose(f);
	return bytes;
}

void host_hugepages_of_mount(struct host_hugepages *pages, const char *dir)
{
	uint64_t reserved = 0, left = 0; /* blocks */
	DIR *files = opendir(dir);
	struct dirent *entry;
	struct statfs fs;
	struct stat st;

	/* DPDK locks the directory while it makes files that it has not locked yet. */
	if (files != NULL && flock(dirfd(files), LOCK_SH | LOCK_NB) == 0 &&
		fstat(dirfd(files), &st) == 0) {
		reserved = min_size(st.st_dev) / BLOCK_BYTES;
		while ((entry = readdir(files)) != NULL) {
			_cleanup_close_ int fd = openat(dirfd(files), entry->d_name,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

			if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
				continue;
			reserved -= MIN(reserved, (uint64_t)st.st_blocks);
			if (fnmatch("*map_*", entry->d_name, 0) == 0 &&
				flock(fd, LOCK_EX | LOCK_NB) == 0)
				left += (uint64_t)st.st_blocks;
		}
	}
	if (files != NULL)
		closedir(files);
	pages->reserved = (int)(reserved * BLOCK_BYTES / 1024 / pages->kib);
	pages->left = (int)(left * BLOCK_BYTES / 1024 / pages->kib);
	pages->allowed = statfs(dir, &fs) == 0 && (long)fs.f_blocks > 0
	                         ? (int)fs.f_bavail + pages->left
	                         : INT_MAX;
}

/* One of the kernel's counts; -1 if there is none. */
static int read_count(const struct host_hugepages *pages, const char *folder, const char *what)
{
	int n = -1;

	sysfs_read_int(&n, "%s/%s/hugepages/hugepages-%" PRIu64 "kB/%s", pages->sysfs, folder,
		pages->kib, what);
	return n;
}

int host_hugepages_free(const struct host_hugepages *pages, int node)
{
	static const char machine[] = "kernel/mm";
	char folder[64];
	int made = read_count(pages, machine, "nr_overcommit_hugepages") -
	           read_count(pages, machine, "surplus_hugepages");
	int reserved = MAX(read_count(pages, machine, "resv_hugepages"), 0);
	int more = MIN(pages->reserved, reserved) + pages->left + MAX(made, 0);
	int all = read_count(pages, machine, "free_hugepages") - reserved + more;

	if (node < 0)
		return all;
	snprintf(folder, sizeof(folder), "devices/system/node/node%d", node);
	int here = read_count(pages, folder, "free_hugepages");
	return here < 0 ? here : MIN(here + more, all);
}
