/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A side of a vhost-user connection that the test plays. */

#include <stddef.h>
#include <stdint.h>

/* Connects to the socket as a frontend. What is received from it comes within 10 s, or fails. */
int vhost_user_connect(const char *path);

/* Sends a message, with a descriptor unless that is -1. The flags besides the version's. */
void vhost_user_send(
	int fd, uint32_t request, uint32_t flags, const void *payload, size_t bytes, int passed_fd);
