/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/socket.h>

#include "base/err.h"

#define LOOPBACK_SCHEME "http://"

/*
 * Reads "http://127.0.0.1:29177" or "http://[::1]:29177". Accepts only numeric addresses of the
 * loopback interface; -EINVAL for everything else.
 */
int loopback_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_length,
	struct err *err);
