/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <string.h>

/* Where the daemon's services listen, and clients ask, by default. */

#define PORT_CONTROL_ENDPOINT "ipc:///var/run/virtio-forwarder/port_control"
#define STATS_ENDPOINT "ipc:///var/run/virtio-forwarder/stats"
#define CONFIG_ENDPOINT "ipc:///var/run/virtio-forwarder/config"
#define METRICS_ENDPOINT "ipc:///var/run/virtio-forwarder/metrics"
#define CAPTURE_ENDPOINT "ipc:///var/run/virtio-forwarder/capture"
#define CORE_SCHED_ENDPOINT "ipc:///var/run/virtio-forwarder/core_sched"

/*
 * Whether a ZeroMQ endpoint is an IPv6 address (tcp://[::1]:5555), for libzmq's ZMQ_IPV6. Not for
 * others: with it all addresses ("*") would be IPv6 ones as well, and names would mean those first.
 */
static inline bool endpoint_is_ipv6(const char *endpoint)
{
	return strncmp(endpoint, "tcp://[", 7) == 0;
}
