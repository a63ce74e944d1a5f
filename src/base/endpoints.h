/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Default endpoints: where the daemon's services listen, and where clients ask. */

#define PORT_CONTROL_ENDPOINT "ipc:///var/run/virtio-forwarder/port_control"
#define STATS_ENDPOINT "ipc:///var/run/virtio-forwarder/stats"
#define CONFIG_ENDPOINT "ipc:///var/run/virtio-forwarder/config"
#define METRICS_ENDPOINT "ipc:///var/run/virtio-forwarder/metrics"
#define CAPTURE_ENDPOINT "ipc:///var/run/virtio-forwarder/capture"
#define CORE_SCHED_ENDPOINT "ipc:///var/run/virtio-forwarder/core_sched"

/*
 * True if a ZeroMQ endpoint is an IPv6 address (tcp://[::1]:5555), for libzmq's ZMQ_IPV6. Not for
 * other endpoints: with that option "*" would include IPv6 addresses, and names would be looked up
 * as IPv6 first.
 */
static inline bool endpoint_is_ipv6(const char *endpoint)
{
	return strncmp(endpoint, "tcp://[", 7) == 0;
}

/* The socket's path in a ZeroMQ endpoint; NULL if it is not "ipc:///PATH". */
static inline const char *endpoint_ipc_path(const char *endpoint)
{
	return strncmp(endpoint, "ipc:///", 7) == 0 ? endpoint + 6 : NULL;
}
