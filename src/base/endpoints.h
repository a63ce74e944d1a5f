/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Where the daemon's services listen, and clients ask, by default. */

#define PORT_CONTROL_ENDPOINT "ipc:///var/run/virtio-forwarder/port_control"
#define STATS_ENDPOINT "ipc:///var/run/virtio-forwarder/stats"
#define CONFIG_ENDPOINT "ipc:///var/run/virtio-forwarder/config"
#define METRICS_ENDPOINT "ipc:///var/run/virtio-forwarder/metrics"
#define CAPTURE_ENDPOINT "ipc:///var/run/virtio-forwarder/capture"
#define CORE_SCHED_ENDPOINT "ipc:///var/run/virtio-forwarder/core_sched"
