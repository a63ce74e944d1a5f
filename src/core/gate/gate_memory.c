/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static bool overflows(uint64_t start, uint64_t bytes)
{
	return bytes > UINT64_MAX - start;
}

/* Only files on tmpfs and hugetlbfs have seals. This asks no file server. */
static bool is_in_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/* File systems without a block device of their own, such as NFS and FUSE, have 0 for its major. */
static bool is_on_disk(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       S_ISREG(st.stx_mode) && st.stx_dev_major != 0;
}

int gate_memory_check_file(int fd, uint64_t bytes, struct stat *ret_st, struct err *err)
{
	if (!is_in_memory(fd) && !is_on_disk(fd))
		return err_set(err, EPROTO,
			"a device, or a file whose file system is on no disk of this host, for "
			"which other VMs might have to wait without end; " GATE_MEMORY_ADVICE);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return err_set(err, EPROTO, "memory that may not be written");
	if (fstat(fd, ret_st) < 0)
		return err_set(err, EPROTO, "memory that cannot be looked at: %s", strerror(errno));
	if ((uint64_t)ret_st->st_size < bytes)
		return err_set(err, EPROTO, "a file shorter than its memory");
	return 0;
}

static int check_region(
	const struct vhost_user_region *region, int fd, struct stat *ret_st, struct err *err)
{
	if (region->bytes == 0 || overflows(region->gpa, region->bytes) ||
		overflows(region->uva, region->bytes) || overflows(region->offset, region->bytes))
		return err_set(err, EPROTO, "a region whose size overflows");
	return gate_memory_check_file(fd, region->offset + region->bytes, ret_st, err);
}

int gate_memory_check(const struct vhost_user_memory *memory, const int *fds,
	struct stat *ret_files, struct err *err)
{
	if (memory->n_regions == 0)
		return err_set(err, EPROTO, "no region");
	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct vhost_user_region *a = &memory->regions[i];
		int r = check_region(a, fds[i], &ret_files[i], err);
		if (r < 0)
			return r;
		for (unsigned k = 0; k < i; k++) {
			const struct vhost_user_region *b = &memory->regions[k];
			if (overlap(a->gpa, a->bytes, b->gpa, b->bytes) ||
				overlap(a->uva, a->bytes, b->uva, b->bytes))
				return err_set(err, EPROTO, "regions that overlap");
		}
	}
	return 0;
}

bool gate_memory_is_of_hugepages(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
}

bool gate_memory_is_private(const struct stat *files, const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (files[i].st_blocks != 0 || !gate_memory_is_of_hugepages(fds[i]))
			return false;
	return n > 0;
}

bool gate_memory_is_on_disk(const struct stat *files, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (major(files[i].st_dev) != 0)
			return true;
	return false;
}

int gate_memory_check_mappable(const struct vhost_user_memory *memory, const struct stat *files,
	const int *fds, struct err *err)
{
	struct iovec maps[MEMORY_REGIONS_MAX];
	unsigned n = 0;
	int r = 0;

	for (; n < memory->n_regions && r == 0; n++) {
		uint64_t bytes = memory->regions[n].offset + memory->regions[n].bytes;
		uint64_t block = files[n].st_blksize > 0 ? files[n].st_blksize : 1;

		bytes = (bytes + block - 1) / block * block;
		maps[n] = (struct iovec){
			mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[n], 0), bytes};
		if (maps[n].iov_base == MAP_FAILED)
			r = err_set(err, errno, "memory that cannot be mapped: %s%s",
				strerror(errno),
				errno == ENOMEM && gate_memory_is_of_hugepages(fds[n])
					? "; are its hugepages shared (" GATE_MEMORY_REMEDY ")?"
					: "");
	}
	while (n-- > 0)
		if (maps[n].iov_base != MAP_FAILED)
			munmap(maps[n].iov_base, maps[n].iov_len);
	return r;
}
