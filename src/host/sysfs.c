/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define format_path(path, fmt)                                            \
	({                                                                \
		va_list args_;                                            \
		int n_;                                                   \
		va_start(args_, fmt);                                     \
		n_ = vsnprintf(path, sizeof(path), fmt, args_);           \
		va_end(args_);                                            \
		n_ >= 0 && (size_t)n_ < sizeof(path) ? 0 : -ENAMETOOLONG; \
	})

static ssize_t read_bytes(const char *path, void *ret_bytes, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_bytes, size);

	return n < 0 ? -errno : n;
}

static int read_file(const char *path, char *ret_text, size_t size)
{
	ssize_t n = read_bytes(path, ret_text, size - 1);

	if (n < 0)
		return (int)n;
	while (n > 0 && isspace((unsigned char)ret_text[n - 1]))
		n--;
	ret_text[n] = '\0';
	return 0;
}

static int read_link(const char *path, char *ret_name, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(ret_name, name);
	return 0;
}

int sysfs_read(char *ret_text, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = format_path(path, fmt);

	return r < 0 ? r : read_file(path, ret_text, size);
}

int sysfs_read_int(int *ret_value, const char *fmt, ...)
{
	char path[PATH_MAX], text[32], *end;
	int r = format_path(path, fmt);
	long value;

	if (r >= 0)
		r = read_file(path, text, sizeof(text));
	if (r < 0)
		return r;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < INT_MIN || value > INT_MAX)
		return -EINVAL;
	*ret_value = (int)value;
	return 0;
}

ssize_t sysfs_read_bytes(void *ret_bytes, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = format_path(path, fmt);

	return r < 0 ? r : read_bytes(path, ret_bytes, size);
}

int sysfs_link_name(char *ret_name, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = format_path(path, fmt);

	return r < 0 ? r : read_link(path, ret_name, size);
}

int sysfs_link_pci(struct pci_addr *ret_addr, const char *fmt, ...)
{
	char path[PATH_MAX], name[PCI_ADDR_TEXT_SIZE];
	int r = format_path(path, fmt);

	if (r >= 0)
		r = read_link(path, name, sizeof(name));
	if (r == -ENAMETOOLONG || (r >= 0 && pci_addr_parse(name, ret_addr) < 0))
		return -ENODEV;
	return r;
}

bool sysfs_exists(const char *fmt, ...)
{
	char path[PATH_MAX];

	return format_path(path, fmt) >= 0 && access(path, F_OK) == 0;
}

bool sysfs_parameter_is_on(const char *sysfs, const char *module, const char *parameter)
{
	char text[8];

	return sysfs_read(text, sizeof(text), "%s/module/%s/parameters/%s", sysfs, module,
		       parameter) == 0 &&
	       text[0] == 'Y';
}

DIR *sysfs_opendir(const char *fmt, ...)
{
	char path[PATH_MAX];

	return format_path(path, fmt) >= 0 ? opendir(path) : NULL;
}

int sysfs_may_write(const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = format_path(path, fmt);

	return r < 0 ? r : access(path, W_OK) < 0 ? -errno : 0;
}

int sysfs_write(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = format_path(path, fmt);
	_cleanup_close_ int fd = -1;

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}
