/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The config endpoint: versions, features and configured pins, which never change after the start.
 * Control thread.
 */

#include "config/config.h"
#include "control/zmq/zmq_service.h"

struct config_service;

struct config_service_versions {
	const char *daemon;
	const char *dpdk;
	const char *const *features; /* terminated by NULL */
};

/* `pins` (by relay id) and `versions` are copied, strings included. */
int config_service_new(struct config_service **ret_service, const struct zmq_endpoint *endpoint,
	const struct config_pin pins[RELAYS_MAX], const struct config_service_versions *versions,
	struct err *err);

struct config_service *config_service_free(struct config_service *service);
