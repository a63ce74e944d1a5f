/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vfio_devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd_link.h"
#include "base/limits.h"
#include "base/thread.h"

struct vfio_device {
	int fd;
	pthread_t thread; /* that closes it */
	bool closing;     /* there is that thread */
};

struct vfio_devices {
	unsigned n;
	struct vfio_device devices[MEMBERS_MAX];
};

struct vfio_devices *vfio_devices_hold(void)
{
	struct vfio_devices *devices = calloc(1, sizeof(*devices));
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (devices != NULL && dir != NULL && (entry = readdir(dir)) != NULL) {
		const int open_fd = atoi(entry->d_name);
		if (devices->n == MEMBERS_MAX || !fd_is_on(open_fd, "anon_inode:[vfio-device]"))
			continue;
		int fd = fcntl(open_fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0)
			devices->devices[devices->n++].fd = fd;
	}
	if (dir != NULL)
		closedir(dir);
	return devices;
}

static void *close_device(void *argument)
{
	const struct vfio_device *device = argument;

	close(device->fd);
	return NULL;
}

struct vfio_devices *vfio_devices_release(struct vfio_devices *devices)
{
	if (devices == NULL)
		return NULL;
	for (unsigned i = 0; i < devices->n; i++) {
		struct vfio_device *device = &devices->devices[i];
		device->closing = thread_start(&device->thread, false, close_device, device) == 0;
		if (!device->closing)
			close_device(device);
	}
	for (unsigned i = 0; i < devices->n; i++)
		if (devices->devices[i].closing)
			pthread_join(devices->devices[i].thread, NULL);
	free(devices);
	return NULL;
}
