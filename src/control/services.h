/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The services that the configuration asks for: ZeroMQ endpoints, command file, monitor of Open
 * vSwitch's database, metrics, captures. Control thread.
 */

#include "control/forwarder.h"

struct services;

/*
 * All or nothing, except that metrics and captures are left out if their endpoint cannot be opened,
 * which is logged.
 */
int services_new(struct services **ret_services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err);

struct services *services_free(struct services *services);
