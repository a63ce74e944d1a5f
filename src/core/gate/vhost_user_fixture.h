/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* One side of a vhost-user connection, played by the test. */

#include <stddef.h>
#include <stdint.h>

/* Connects to the socket as a frontend. Receiving on it fails after 10 s. */
int vhost_user_connect(const char *path);

/*
 * Sends a message, with a descriptor unless `passed_fd` is -1. `flags`: in addition to the version.
 */
void vhost_user_send(
	int fd, uint32_t request, uint32_t flags, const void *payload, size_t bytes, int passed_fd);
