/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The descriptors that the fuzzers' frontends can send. */

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fuzz.h"

#define GUEST_FDS 8
#define GUEST_MEMORY_BYTES (1 << 20)

/*
 * Memory (twice), an eventfd, one page of memory, read-only memory, a socket, a device, the end of
 * a pipe.
 */
static inline const int *guest_fds(void)
{
	static int fds[GUEST_FDS];
	int pair[2], pipe_ends[2];

	if (fds[0] > 0)
		return fds;
	for (unsigned i = 0; i < 5; i++)
		fds[i] = i == 2 ? eventfd(0, EFD_CLOEXEC) : memfd_create("guest", MFD_CLOEXEC);
	require(ftruncate(fds[0], GUEST_MEMORY_BYTES) == 0);
	require(ftruncate(fds[1], GUEST_MEMORY_BYTES) == 0);
	require(ftruncate(fds[3], 4096) == 0);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	close(fds[4]);
	fds[4] = open(path, O_RDONLY | O_CLOEXEC);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipe_ends) == 0);
	fds[5] = pair[0];
	fds[6] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[7] = pipe_ends[1];
	return fds;
}
