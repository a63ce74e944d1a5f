/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The memory that a frontend shares: what gate_rules.h says of it. Nothing here reads it. Any
 * thread.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "core/gate/vhost_user.h"

/* What makes QEMU and libvirt share a VM's memory, for messages. */
#define GATE_MEMORY_REMEDY "QEMU: share=on, libvirt: <access mode='shared'/>"

/* What a VM's memory had better be, for messages. */
#define GATE_MEMORY_ADVICE                                                                   \
	"use a memfd (libvirt: <source type='memfd'/>), hugepages, or a file on tmpfs such " \
	"as /dev/shm"

/*
 * Checks that it is a writable file with at least `bytes`: on tmpfs (where memfds are, too) or
 * hugetlbfs, or on a disk of this host. Anywhere else a worker's access may wait for a file server
 * or a FUSE process, without limit, and all of its lanes with it. A device's length is not known,
 * and its driver may do anything when it is mapped. 0 or -EPROTO.
 */
int gate_memory_check_file(int fd, uint64_t bytes, struct stat *ret_st, struct err *err);

/*
 * Checks each region with its file, that there is one, and that no two overlap. 0, or -EPROTO;
 * `ret_files` then has some of the files.
 */
int gate_memory_check(const struct vhost_user_memory *memory, const int *fds,
	struct stat *ret_files, struct err *err);

/*
 * Maps all regions together, as the library is about to do, and unmaps them. If the library itself
 * cannot map one, its old table is already gone, and it leaks a descriptor. 0 or a negative errno.
 */
int gate_memory_check_mappable(const struct vhost_user_memory *memory, const struct stat *files,
	const int *fds, struct err *err);

/* True if a file is on hugetlbfs. */
bool gate_memory_is_of_hugepages(int fd);

/*
 * True if all of the memory is of hugepages and none of them is in use. Then the frontend has
 * private copies of them: a guest that is about to set up rings has written to its memory before.
 * (Other files have pages even so, since the kernel reads them before it copies them.)
 */
bool gate_memory_is_private(const struct stat *files, const int *fds, unsigned n);

/* True if some of the memory is on a disk: workers wait for it now and then. */
bool gate_memory_is_on_disk(const struct stat *files, unsigned n);
