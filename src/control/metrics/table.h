/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The table of all metrics. The text (text.h) and docs/metrics.md are both made from it. Names are
 * without METRIC_PREFIX and without the suffix of their type.
 */

#include <stddef.h>

#define METRIC_PREFIX "virtio_forwarder_"

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_INFO, /* always 1; the information is in its labels */
};

/*
 * Where the value of a metric comes from. `offset` is that of a member of this type in this struct.
 */
enum metric_source {
	/* a dedicated function in text.c */
	FROM_WRITER,
	FROM_DIRECTION,    /* uint64_t in struct direction_stats */
	FROM_DIRECTION_NS, /* the same, in nanoseconds; written in seconds */
	FROM_DROPS,        /* uint64_t in struct packet_count, for each drop reason */
	FROM_VM,           /* unsigned in struct vm_stats */
	FROM_DEVICE,       /* uint64_t in struct device_counters */
	FROM_POOL,         /* unsigned in struct device_counters */
	FROM_QUEUES,       /* uint64_t[SLICES_MAX] in struct device_counters */
};

enum metric_id {
	METRIC_BUILD,
	METRIC_START_TIME,
	METRIC_OVSDB_CONNECTED,
	METRIC_WORKER_SECONDS,
	METRIC_WORKER_WAITING,
	METRIC_RELAY,
	METRIC_DEVICE_ATTACHED,
	METRIC_VM_ATTACHED,
	METRIC_VM_SESSIONS,
	METRIC_VM_ANNOUNCEMENTS,
	METRIC_VM_REFUSALS,
	METRIC_VM_BROKEN_RINGS,
	METRIC_VM_MIGRATES,
	METRIC_VM_FEATURE,
	METRIC_VM_QUEUES,
	METRIC_VM_RING_SIZE,
	METRIC_VM_QUEUE_PACKETS,
	METRIC_VM_QUEUE_DROPPED,
	METRIC_VM_INTERRUPTS,
	METRIC_RECEIVED_PACKETS,
	METRIC_RECEIVED_BYTES,
	METRIC_SENT_PACKETS,
	METRIC_SENT_BYTES,
	METRIC_DROPPED_PACKETS,
	METRIC_DROPPED_BYTES,
	METRIC_BACKLOG_PACKETS,
	METRIC_BACKLOG_BYTES,
	METRIC_BURST,
	METRIC_BUSY,
	METRIC_CPU,
	METRIC_SLICE_CPU,
	METRIC_SLICE_BUSY,
	METRIC_NUMA_MISMATCH,
	METRIC_DEVICE_MEMBERS,
	METRIC_DEVICE_MISSED,
	METRIC_DEVICE_NO_BUFFER,
	METRIC_DEVICE_RECEIVE_ERRORS,
	METRIC_DEVICE_TRANSMIT_ERRORS,
	METRIC_QUEUE_RECEIVED,
	METRIC_QUEUE_SENT,
	METRIC_POOL_PACKETS,
	METRIC_POOL_FREE,
	METRIC_N
};

struct metric {
	const char *name;
	enum metric_type type;
	const char *unit;   /* the last part of the name, or NULL */
	const char *labels; /* for the documentation; "" for none */
	const char *help;
	enum metric_source source;
	size_t offset;
};

extern const struct metric metrics[METRIC_N];

struct metric_type_names {
	const char *name;         /* in OpenMetrics */
	const char *classic_name; /* in Prometheus' text format */
	const char *suffix; /* of a sample's name; histograms have several suffixes of their own */
};

extern const struct metric_type_names metric_types[];
