/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/* A file as the kernel identifies it, whatever its name. */
struct file_id {
	dev_t device;
	ino_t inode;
};

static inline struct file_id file_id_of(const struct stat *st)
{
	return (struct file_id){st->st_dev, st->st_ino};
}

static inline bool file_id_equal(struct file_id a, struct file_id b)
{
	return a.device == b.device && a.inode == b.inode;
}
