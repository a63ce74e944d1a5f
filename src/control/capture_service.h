/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packet capture (base/capture.h) on a UNIX socket of mode 0660. A client gets shared memory into
 * which the packets of a relay are copied, until the client closes its connection, for whatever
 * reason. Workers copy and never wait; relays that nobody captures are not affected. Each direction
 * of a relay is captured by one client at a time, and the number of captures is bounded. A capture
 * goes on while devices and VMs of the relay come and go. Control thread.
 */

#include <systemd/sd-event.h>

#include "base/direction.h"
#include "base/err.h"
#include "core/packet/tap.h"

struct capture_service;

/* See forwarder_tap(). */
typedef void capture_tap(
	void *userdata, unsigned relay_id, enum direction direction, struct tap *taps);

/* `endpoint` is "ipc:///path". */
int capture_service_new(struct capture_service **ret_service, sd_event *event, const char *endpoint,
	capture_tap *tap, void *userdata, struct err *err);

struct capture_service *capture_service_free(struct capture_service *service);
