/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/text.h"

#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "base/text.h"
#include "control/metrics/table.h"

#define LABEL_SIZE 64

struct writer {
	FILE *out;
	const struct metrics_view *view;
	enum metrics_format format;
	const struct metric *metric; /* whose samples are being written */
};

/* In the classic format a metric family's name includes the suffix; in OpenMetrics it does not. */
static void write_head(const struct writer *w)
{
	const struct metric *metric = w->metric;
	const struct metric_type_names *type = &metric_types[metric->type];
	bool classic = w->format == METRICS_PROMETHEUS;
	const char *suffix = classic ? type->suffix : "";

	fprintf(w->out, "# HELP " METRIC_PREFIX "%s%s %s\n", metric->name, suffix, metric->help);
	fprintf(w->out, "# TYPE " METRIC_PREFIX "%s%s %s\n", metric->name, suffix,
		classic ? type->classic_name : type->name);
	if (!classic && metric->unit)
		fprintf(w->out, "# UNIT " METRIC_PREFIX "%s %s\n", metric->name, metric->unit);
}

/* `labels`: the text between the braces; "" for none. */
static void write_sample(const struct writer *w, const char *labels, uint64_t value)
{
	const char *name = w->metric->name, *suffix = metric_types[w->metric->type].suffix;

	if (labels[0] == '\0')
		fprintf(w->out, METRIC_PREFIX "%s%s %" PRIu64 "\n", name, suffix, value);
	else
		fprintf(w->out, METRIC_PREFIX "%s%s{%s} %" PRIu64 "\n", name, suffix, labels,
			value);
}

static void write_seconds(const struct writer *w, const char *labels, uint64_t ns)
{
	fprintf(w->out, METRIC_PREFIX "%s%s{%s} %" PRIu64 ".%09" PRIu64 "\n", w->metric->name,
		metric_types[w->metric->type].suffix, labels, ns / 1000000000, ns % 1000000000);
}

/* Escapes the value of a label: an operator may have put anything into it. */
static void write_label(FILE *out, const char *name, const char *value)
{
	char text[DEVICE_TEXT_SIZE]; /* large enough for all of them */

	text_copy(text, sizeof(text), value);
	fprintf(out, "%s=\"", name);
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc('"', out);
}

/* A relay is listed once it has, or had, something to report. */
static bool is_listed(const struct relay_stats *relay)
{
	return relay->device[0] != '\0' || relay->vm.sessions != 0 || relay->vm.refusals != 0 ||
	       relay->vf_to_vm.received.packets != 0 || relay->vm_to_vf.received.packets != 0;
}

#define FOR_EACH_RELAY(w, relay)                                                      \
	for (const struct relay_stats *relay = (w)->view->stats.relays;               \
		relay < (w)->view->stats.relays + (w)->view->stats.n_relays; relay++) \
		if (is_listed(relay))

static const struct {
	const char *name;
	size_t offset; /* in struct relay_stats */
} directions[] = {
	{"vf_to_vm", offsetof(struct relay_stats, vf_to_vm)},
	{"vm_to_vf", offsetof(struct relay_stats, vm_to_vf)},
};

/* Writes the samples of one direction of one relay. */
typedef void direction_writer(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels);

static void for_each_direction(const struct writer *w, direction_writer *write)
{
	char labels[LABEL_SIZE];

	FOR_EACH_RELAY (w, relay) {
		for (unsigned d = 0; d < ARRAY_SIZE(directions); d++) {
			snprintf(labels, sizeof(labels), "relay=\"%u\",direction=\"%s\"", relay->id,
				directions[d].name);
			write(w, relay, (const void *)((const char *)relay + directions[d].offset),
				labels);
		}
	}
}

static uint64_t u64_at(const void *base, size_t offset)
{
	return *(const uint64_t *)((const char *)base + offset);
}

static void write_direction(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	write_sample(w, labels, u64_at(stats, w->metric->offset));
}

static void write_direction_ns(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	write_seconds(w, labels, u64_at(stats, w->metric->offset));
}

static void write_drops(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	char with_reason[2 * LABEL_SIZE];

	for (unsigned i = 0; i < DROP_N; i++) {
		snprintf(with_reason, sizeof(with_reason), "%s,reason=\"%s\"", labels,
			drop_reason_name(i));
		write_sample(w, with_reason, u64_at(&stats->dropped[i], w->metric->offset));
	}
}

static void write_bursts(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	const char *name = w->metric->name;
	uint64_t sum = 0;

	for (unsigned i = 0; i < BURST_BUCKETS; i++) {
		char limit[16] = "+Inf";

		sum += stats->bursts[i];
		if (i < BURST_BUCKETS - 1)
			snprintf(limit, sizeof(limit), "%u.0", burst_bucket_limit(i));
		fprintf(w->out, METRIC_PREFIX "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, labels,
			limit, sum);
	}
	fprintf(w->out, METRIC_PREFIX "%s_sum{%s} %" PRIu64 "\n", name, labels,
		stats->received.packets);
	fprintf(w->out, METRIC_PREFIX "%s_count{%s} %" PRIu64 "\n", name, labels, sum);
}

static void write_cpu(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	if (stats->cpu >= 0)
		write_sample(w, labels, (uint64_t)stats->cpu);
}

static void write_slices(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	char with_slice[2 * LABEL_SIZE];

	for (unsigned i = 0; i < stats->n_slices; i++) {
		const struct slice_stats *slice = &stats->slices[i];

		snprintf(with_slice, sizeof(with_slice), "%s,slice=\"%u\"", labels, i);
		if (w->metric == &metrics[METRIC_SLICE_BUSY])
			write_seconds(w, with_slice, slice->busy_ns);
		else if (slice->cpu >= 0)
			write_sample(w, with_slice, (uint64_t)slice->cpu);
	}
}

/* The size of each ring in use; or the packets of the queues that are there, or that have had any.
 */
static void write_vm_queues(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	const bool sizes = w->metric == &metrics[METRIC_VM_RING_SIZE];
	char with_queue[2 * LABEL_SIZE];

	for (unsigned q = 0; q < QUEUE_PAIRS_MAX; q++) {
		const struct queue_stats *queue = &stats->queues[q];
		const uint64_t value = sizes ? queue->ring_size : queue->packets;

		if (value == 0 && (sizes || q >= relay->vm.n_queues))
			continue;
		snprintf(with_queue, sizeof(with_queue), "%s,queue=\"%u\"", labels, q);
		write_sample(w, with_queue, value);
	}
}

static int node_of_cpu(const struct stats_view *stats, int cpu)
{
	for (unsigned i = 0; i < stats->n_workers; i++)
		if ((int)stats->workers[i].cpu == cpu)
			return stats->workers[i].numa_node;
	return -1;
}

static void write_numa_mismatch(const struct writer *w, const struct relay_stats *relay,
	const struct direction_stats *stats, const char *labels)
{
	int nodes[2 + SLICES_MAX] = {relay->device_node, relay->vm.numa_node};
	unsigned n = 2;
	bool mismatch = false;

	for (unsigned i = 0; i < stats->n_slices; i++)
		nodes[n++] = node_of_cpu(&w->view->stats, stats->slices[i].cpu);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			mismatch |= nodes[i] >= 0 && nodes[j] >= 0 && nodes[i] != nodes[j];
	write_sample(w, labels, mismatch);
}

static void write_build(const struct writer *w)
{
	fprintf(w->out, METRIC_PREFIX "%s_info{", w->metric->name);
	write_label(w->out, "version", w->view->version);
	write_label(w->out, ",dpdk", w->view->dpdk);
	fprintf(w->out, "} 1\n");
}

static void write_relays(const struct writer *w)
{
	FOR_EACH_RELAY (w, relay) {
		fprintf(w->out, METRIC_PREFIX "%s_info{relay=\"%u\"", w->metric->name, relay->id);
		write_label(w->out, ",device", relay->device);
		write_label(w->out, ",socket", relay->vhost_path);
		write_label(w->out, ",ident", relay->ident);
		fprintf(w->out, "} 1\n");
	}
}

static void write_workers(const struct writer *w)
{
	char labels[LABEL_SIZE];

	for (unsigned i = 0; i < w->view->stats.n_workers; i++) {
		const struct worker_stats *worker = &w->view->stats.workers[i];
		const struct {
			const char *state;
			uint64_t ns;
		} parts[] = {{"busy", worker->busy_ns}, {"idle", w->view->worker_idle_ns[i]},
			{"sleep", worker->sleep_ns}};

		for (unsigned j = 0; j < ARRAY_SIZE(parts); j++) {
			snprintf(labels, sizeof(labels), "cpu=\"%u\",state=\"%s\"", worker->cpu,
				parts[j].state);
			write_seconds(w, labels, parts[j].ns);
		}
	}
}

static void write_waiting(const struct writer *w)
{
	char labels[LABEL_SIZE];

	for (unsigned i = 0; i < w->view->stats.n_workers; i++) {
		const struct worker_stats *worker = &w->view->stats.workers[i];

		snprintf(labels, sizeof(labels), "cpu=\"%u\"", worker->cpu);
		if (worker->has_waiting)
			write_seconds(w, labels, worker->waiting_ns);
	}
}

static void write_relay_sample(
	const struct writer *w, const struct relay_stats *relay, uint64_t value)
{
	char labels[LABEL_SIZE];

	snprintf(labels, sizeof(labels), "relay=\"%u\"", relay->id);
	write_sample(w, labels, value);
}

static void write_features(const struct writer *w, const struct relay_stats *relay)
{
	static const struct {
		unsigned bit;
		const char *name;
	} features[] = {
		{VIRTIO_NET_F_CSUM, "csum"},
		{VIRTIO_NET_F_GUEST_CSUM, "guest_csum"},
		{VIRTIO_NET_F_MTU, "mtu"},
		{VIRTIO_NET_F_GSO, "gso"},
		{VIRTIO_NET_F_GUEST_TSO4, "guest_tso4"},
		{VIRTIO_NET_F_GUEST_TSO6, "guest_tso6"},
		{VIRTIO_NET_F_GUEST_ECN, "guest_ecn"},
		{VIRTIO_NET_F_GUEST_UFO, "guest_ufo"},
		{VIRTIO_NET_F_HOST_TSO4, "host_tso4"},
		{VIRTIO_NET_F_HOST_TSO6, "host_tso6"},
		{VIRTIO_NET_F_HOST_ECN, "host_ecn"},
		{VIRTIO_NET_F_HOST_UFO, "host_ufo"},
		{VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf"},
		{VIRTIO_NET_F_CTRL_VQ, "ctrl_vq"},
		{VIRTIO_NET_F_CTRL_RX, "ctrl_rx"},
		{VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce"},
		{VIRTIO_NET_F_MQ, "mq"},
		{VIRTIO_RING_F_INDIRECT_DESC, "indirect_desc"},
		{VIRTIO_RING_F_EVENT_IDX, "event_idx"},
		{VIRTIO_F_VERSION_1, "version_1"},
		{VIRTIO_F_ACCESS_PLATFORM, "access_platform"},
		{VIRTIO_F_RING_PACKED, "ring_packed"},
		{VIRTIO_F_IN_ORDER, "in_order"},
	};
	char labels[LABEL_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		if (!(relay->vm.features >> features[i].bit & 1))
			continue;
		snprintf(labels, sizeof(labels), "relay=\"%u\",feature=\"%s\"", relay->id,
			features[i].name);
		write_sample(w, labels, 1);
	}
}

static void write_enabled_queues(const struct writer *w, const struct relay_stats *relay)
{
	char labels[LABEL_SIZE];
	unsigned n = 0;

	if (relay->vm.n_queues == 0)
		return;
	for (unsigned q = 0; q < QUEUE_PAIRS_MAX; q++)
		n += relay->vf_to_vm.queues[q].ring_size != 0;
	snprintf(labels, sizeof(labels), "relay=\"%u\",state=\"offered\"", relay->id);
	write_sample(w, labels, relay->vm.n_queues);
	snprintf(labels, sizeof(labels), "relay=\"%u\",state=\"enabled\"", relay->id);
	write_sample(w, labels, n);
}

static void write_queue_drops(const struct writer *w, const struct relay_stats *relay)
{
	char labels[LABEL_SIZE];

	for (unsigned q = 0; q < QUEUE_PAIRS_MAX; q++) {
		const uint64_t dropped = relay->vf_to_vm.queues[q].dropped;

		if (dropped == 0 && q >= relay->vm.n_queues)
			continue;
		snprintf(labels, sizeof(labels), "relay=\"%u\",queue=\"%u\"", relay->id, q);
		write_sample(w, labels, dropped);
	}
}

static void write_members(const struct writer *w, const struct relay_stats *relay)
{
	static const char *const states[MEMBER_STATES_N] = {
		[MEMBER_UP] = "up", [MEMBER_DOWN] = "down", [MEMBER_AWAY] = "away"};
	const struct device_counters *device = &w->view->devices[relay->id];
	char labels[LABEL_SIZE];

	if (device->n_queues == 0)
		return;
	for (unsigned i = 0; i < MEMBER_STATES_N; i++) {
		snprintf(labels, sizeof(labels), "relay=\"%u\",state=\"%s\"", relay->id, states[i]);
		write_sample(w, labels, device->members[i]);
	}
}

static void write_own(const struct writer *w, enum metric_id id)
{
	switch (id) {
	case METRIC_BUILD:
		write_build(w);
		break;
	case METRIC_START_TIME:
		write_sample(w, "", w->view->start_time_s);
		break;
	case METRIC_OVSDB_CONNECTED:
		if (w->view->follows_ovsdb)
			write_sample(w, "", w->view->ovsdb_connected);
		break;
	case METRIC_WORKER_SECONDS:
		write_workers(w);
		break;
	case METRIC_WORKER_WAITING:
		write_waiting(w);
		break;
	case METRIC_RELAY:
		write_relays(w);
		break;
	case METRIC_DEVICE_ATTACHED:
		FOR_EACH_RELAY (w, relay)
			write_relay_sample(w, relay, relay->vf_to_vm.active);
		break;
	case METRIC_VM_ATTACHED:
		FOR_EACH_RELAY (w, relay)
			write_relay_sample(w, relay, relay->vm_to_vf.active);
		break;
	case METRIC_VM_MIGRATES:
		FOR_EACH_RELAY (w, relay)
			write_relay_sample(w, relay, relay->vm.migrates);
		break;
	case METRIC_VM_FEATURE:
		FOR_EACH_RELAY (w, relay)
			write_features(w, relay);
		break;
	case METRIC_VM_QUEUES:
		FOR_EACH_RELAY (w, relay)
			write_enabled_queues(w, relay);
		break;
	case METRIC_VM_RING_SIZE:
	case METRIC_VM_QUEUE_PACKETS:
		for_each_direction(w, write_vm_queues);
		break;
	case METRIC_VM_QUEUE_DROPPED:
		FOR_EACH_RELAY (w, relay)
			write_queue_drops(w, relay);
		break;
	case METRIC_DEVICE_MEMBERS:
		FOR_EACH_RELAY (w, relay)
			write_members(w, relay);
		break;
	case METRIC_BURST:
		for_each_direction(w, write_bursts);
		break;
	case METRIC_CPU:
		for_each_direction(w, write_cpu);
		break;
	case METRIC_SLICE_CPU:
	case METRIC_SLICE_BUSY:
		for_each_direction(w, write_slices);
		break;
	case METRIC_NUMA_MISMATCH:
		for_each_direction(w, write_numa_mismatch);
		break;
	default:
		break;
	}
}

static void write_queues(const struct writer *w, const struct relay_stats *relay,
	const struct device_counters *device)
{
	char labels[LABEL_SIZE];

	for (unsigned q = 0; q < device->n_queues; q++) {
		snprintf(labels, sizeof(labels), "relay=\"%u\",queue=\"%u\"", relay->id, q);
		write_sample(w, labels, u64_at(device, w->metric->offset + q * sizeof(uint64_t)));
	}
}

/*
 * The metrics of the relay's device and of its pool: none without a device, and of the device none
 * if it does not answer.
 */
static void write_device(const struct writer *w, const struct relay_stats *relay)
{
	const struct device_counters *device = &w->view->devices[relay->id];
	const size_t offset = w->metric->offset;

	if (device->n_queues == 0)
		return;
	if (w->metric->source == FROM_POOL)
		write_relay_sample(w, relay, *(const unsigned *)((const char *)device + offset));
	else if (!device->answered)
		return;
	else if (w->metric->source == FROM_QUEUES)
		write_queues(w, relay, device);
	else
		write_relay_sample(w, relay, u64_at(device, offset));
}

static void write_metric(const struct writer *w, enum metric_id id)
{
	write_head(w);
	switch (w->metric->source) {
	case FROM_WRITER:
		write_own(w, id);
		break;
	case FROM_DIRECTION:
		for_each_direction(w, write_direction);
		break;
	case FROM_DIRECTION_NS:
		for_each_direction(w, write_direction_ns);
		break;
	case FROM_DROPS:
		for_each_direction(w, write_drops);
		break;
	case FROM_VM:
		FOR_EACH_RELAY (w, relay)
			write_relay_sample(w, relay,
				*(const unsigned *)((const char *)&relay->vm + w->metric->offset));
		break;
	case FROM_DEVICE:
	case FROM_POOL:
	case FROM_QUEUES:
		FOR_EACH_RELAY (w, relay)
			write_device(w, relay);
		break;
	}
}

void metrics_write(FILE *out, const struct metrics_view *view, enum metrics_format format)
{
	for (enum metric_id id = 0; id < METRIC_N; id++)
		write_metric(
			&(struct writer){
				.out = out, .view = view, .format = format, .metric = &metrics[id]},
			id);
	if (format == METRICS_OPENMETRICS)
		fprintf(out, "# EOF\n");
}
