/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program. If there is a file with the name of a new socket in the directory that
 * SWAPPED names, it takes the socket's place as soon as bind() has made it, as somebody could do
 * who may write to the socket's directory.
 */

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int bind(int fd, const struct sockaddr *addr, socklen_t length)
{
	static int (*real)(int fd, const struct sockaddr *addr, socklen_t length);
	char file[PATH_MAX];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "bind");
	int r = real(fd, addr, length);
	if (r == 0 && addr->sa_family == AF_UNIX) {
		const char *path = ((const struct sockaddr_un *)addr)->sun_path;
		snprintf(file, sizeof(file), "%s/%s", getenv("SWAPPED"), basename(path));
		rename(file, path);
	}
	return r;
}
