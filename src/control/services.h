/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The ways in and out that the configuration asks for: the ZeroMQ endpoints, the command file, the
 * monitor of Open vSwitch's database, metrics, captures. Control thread.
 */

#include "control/forwarder.h"

struct services;

/* All or nothing. */
int services_new(struct services **ret_services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err);

struct services *services_free(struct services *services);
