/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/run_delay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"

int run_delay_ns(pid_t thread, uint64_t *ret_ns)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", thread);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	/* The time on a CPU, that in a run queue, and the number of turns. */
	return sscanf(text, "%*u %" SCNu64, ret_ns) == 1 ? 0 : -EBADMSG;
}
