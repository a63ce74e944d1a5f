/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/stats_codec.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__StatsRequest Request;
typedef Virtioforwarder__StatsResponse Response;
typedef Virtioforwarder__StatsResponse__RelayState RelayState;
typedef Virtioforwarder__StatsResponse__Drop Drop;
typedef Virtioforwarder__StatsResponse__Slice Slice;
typedef Virtioforwarder__StatsResponse__Worker Worker;

int stats_request_decode(const void *data, size_t length, struct stats_request *ret_request)
{
	struct stats_request request = {};
	Request *wire = virtioforwarder__stats_request__unpack(NULL, length, data);
	int r = 0;

	if (!wire)
		return -EBADR;
	if (wire->n_relay > STATS_RELAYS_LISTED_MAX) {
		r = -E2BIG;
	} else {
		request.include_inactive = wire->include_inactive;
		request.delay_ms = wire->delay;
		for (size_t i = 0; i < wire->n_relay; i++)
			if (wire->relay[i] < RELAYS_MAX)
				request.relays |= UINT64_C(1) << wire->relay[i];
		if (wire->n_relay == 0)
			request.relays = STATS_RELAYS_ALL;
		*ret_request = request;
	}
	virtioforwarder__stats_request__free_unpacked(wire, NULL);
	return r;
}

/* The drop counters of one direction, as messages. */
struct drop_list {
	Drop messages[DROP_N];
	Drop *pointers[DROP_N];
};

/* The slices of one direction, as messages. */
struct slice_list {
	Slice messages[SLICES_MAX];
	Slice *pointers[SLICES_MAX];
};

/* A RelayState with everything it points to. */
struct relay_frame {
	RelayState state;
	Virtioforwarder__StatsResponse__RelayState__CPU cpu;
	Virtioforwarder__StatsResponse__RelayState__VHOST vhost;
	Virtioforwarder__StatsResponse__RelayState__VF vf;
	Virtioforwarder__StatsResponse__VFtoVM vf_to_vm;
	Virtioforwarder__StatsResponse__VMtoVF vm_to_vf;
	struct drop_list vf_to_vm_drops;
	struct drop_list vm_to_vf_drops;
	struct slice_list vf_to_vm_slices;
	struct slice_list vm_to_vf_slices;
	char ident[IDENT_SIZE];
	char vhost_path[SOCKET_PATH_SIZE];
	char device[DEVICE_TEXT_SIZE];
};

static void fill_drops(const struct direction_stats *stats, struct drop_list *list)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		Drop *drop = &list->messages[i];

		virtioforwarder__stats_response__drop__init(drop);
		drop->name = (char *)drop_reason_name(i);
		drop->packets = stats->dropped[i].packets;
		drop->bytes = stats->dropped[i].bytes;
		list->pointers[i] = drop;
	}
}

/* Fills in the slices of a direction that is split and runs; returns their number. */
static size_t fill_slices(const struct direction_stats *stats, struct slice_list *list)
{
	if (stats->n_slices < 2 || stats->cpu < 0)
		return 0;
	for (unsigned i = 0; i < stats->n_slices; i++) {
		Slice *slice = &list->messages[i];

		virtioforwarder__stats_response__slice__init(slice);
		slice->cpu = (uint32_t)stats->slices[i].cpu;
		slice->busy_ns = stats->slices[i].busy_ns;
		list->pointers[i] = slice;
	}
	return stats->n_slices;
}

#define FILL_COUNT(message, name, count)                                         \
	do {                                                                     \
		(message)->has_pkts_##name = (message)->has_bytes_##name = true; \
		(message)->pkts_##name = (count).packets;                        \
		(message)->bytes_##name = (count).bytes;                         \
	} while (0)

/* The fields of the two directions differ only in the names of source and destination. */
#define FILL_DIRECTION(message, stats, rates, list, slice_list, source, destination)     \
	do {                                                                             \
		(message)->active = (stats)->active;                                     \
		(message)->internal_state = (char *)(stats)->internal_state;             \
		FILL_COUNT(message, rx_from_##source, (stats)->received);                \
		FILL_COUNT(message, tx_to_##destination, (stats)->sent);                 \
		FILL_COUNT(message, dropped_##destination##_queue_full,                  \
			dropped_while_connected(stats));                                 \
		FILL_COUNT(message, dropped_##destination##_not_connected,               \
			(stats)->dropped[DROP_NOT_CONNECTED]);                           \
		(message)->pkt_rate_rx_from_##source = (float)(rates)->received_packets; \
		(message)->byte_rate_rx_from_##source = (float)(rates)->received_bytes;  \
		(message)->pkt_rate_tx_to_##destination = (float)(rates)->sent_packets;  \
		(message)->byte_rate_tx_to_##destination = (float)(rates)->sent_bytes;   \
		fill_drops(stats, list);                                                 \
		(message)->n_drop = DROP_N;                                              \
		(message)->drop = (list)->pointers;                                      \
		(message)->has_backlog_packets = (message)->has_backlog_bytes = true;    \
		(message)->backlog_packets = (stats)->backlog.packets;                   \
		(message)->backlog_bytes = (stats)->backlog.bytes;                       \
		(message)->has_busy_ns = (stats)->measured;                              \
		(message)->busy_ns = (stats)->busy_ns;                                   \
		(message)->has_pinned = (message)->pinned = (stats)->pinned;             \
		(message)->n_slice = fill_slices(stats, slice_list);                     \
		(message)->slice = (slice_list)->pointers;                               \
	} while (0)

static void fill_vf_to_vm(const struct direction_stats *stats, const struct direction_rates *rates,
	struct relay_frame *frame)
{
	virtioforwarder__stats_response__vfto_vm__init(&frame->vf_to_vm);
	FILL_DIRECTION(&frame->vf_to_vm, stats, rates, &frame->vf_to_vm_drops,
		&frame->vf_to_vm_slices, vf, vm);
	frame->state.vf_to_vm = &frame->vf_to_vm;
}

static void fill_vm_to_vf(const struct direction_stats *stats, const struct direction_rates *rates,
	struct relay_frame *frame)
{
	virtioforwarder__stats_response__vmto_vf__init(&frame->vm_to_vf);
	FILL_DIRECTION(&frame->vm_to_vf, stats, rates, &frame->vm_to_vf_drops,
		&frame->vm_to_vf_slices, vm, vf);
	frame->state.vm_to_vf = &frame->vm_to_vf;
}

static void fill_cpu(const struct relay_stats *relay, struct relay_frame *frame)
{
	virtioforwarder__stats_response__relay_state__cpu__init(&frame->cpu);
	frame->cpu.has_vf_to_vm = relay->vf_to_vm.cpu >= 0;
	frame->cpu.vf_to_vm = relay->vf_to_vm.cpu;
	frame->cpu.has_vm_to_vf = relay->vm_to_vf.cpu >= 0;
	frame->cpu.vm_to_vf = relay->vm_to_vf.cpu;
	if (frame->cpu.has_vf_to_vm || frame->cpu.has_vm_to_vf)
		frame->state.cpu = &frame->cpu;
}

static void fill_names(const struct relay_stats *relay, struct relay_frame *frame)
{
	virtioforwarder__stats_response__relay_state__vhost__init(&frame->vhost);
	text_copy(frame->vhost_path, sizeof(frame->vhost_path),
		relay->vhost_path[0] ? relay->vhost_path : "NONE");
	frame->vhost.vhost_socket_name = frame->vhost_path;
	frame->state.vhost = &frame->vhost;

	if (relay->ident[0]) {
		text_copy(frame->ident, sizeof(frame->ident), relay->ident);
		frame->state.ident = frame->ident;
	}
	if (relay->device[0]) {
		virtioforwarder__stats_response__relay_state__vf__init(&frame->vf);
		text_copy(frame->device, sizeof(frame->device), relay->device);
		frame->vf.pci_addr_str = frame->device;
		frame->state.vf = &frame->vf;
		frame->state.device = frame->device;
	}
}

static void fill_relay(
	const struct relay_stats *relay, const struct relay_rates *rates, struct relay_frame *frame)
{
	virtioforwarder__stats_response__relay_state__init(&frame->state);
	frame->state.id = relay->id;
	frame->state.active = relay->active;
	frame->state.socket_id = relay->socket_id;
	frame->state.has_numa_node = true;
	frame->state.numa_node = relay->numa_node;
	frame->state.has_vm_listens = relay->vhost_path[0] != '\0';
	frame->state.vm_listens = relay->vm.listens;
	fill_names(relay, frame);
	fill_cpu(relay, frame);
	fill_vf_to_vm(&relay->vf_to_vm, &rates->vf_to_vm, frame);
	fill_vm_to_vf(&relay->vm_to_vf, &rates->vm_to_vf, frame);
}

static bool asked_for(const struct stats_request *request, const struct relay_stats *relay)
{
	return relay->id < RELAYS_MAX && (request->relays >> relay->id & 1) &&
	       (relay->active || request->include_inactive);
}

static void fill_worker(const struct worker_stats *stats, Worker *worker)
{
	virtioforwarder__stats_response__worker__init(worker);
	worker->cpu = stats->cpu;
	worker->has_numa_node = stats->numa_node >= 0;
	worker->numa_node = stats->numa_node;
	worker->has_busy_ns = worker->has_sleep_ns = true;
	worker->busy_ns = stats->busy_ns;
	worker->sleep_ns = stats->sleep_ns;
	worker->has_waiting_ns = stats->has_waiting;
	worker->waiting_ns = stats->waiting_ns;
}

int stats_response_encode(const struct stats_request *request, const struct stats_view *view,
	const struct relay_rates *rates, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__STATS_RESPONSE__INIT;
	_cleanup_free_ struct relay_frame *frames = calloc(view->n_relays + 1, sizeof(*frames));
	RelayState *states[RELAYS_MAX];
	Worker worker_frames[WORKERS_MAX], *workers[WORKERS_MAX];

	if (!frames)
		return -ENOMEM;
	response.status = VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK;
	response.relay = states;
	for (unsigned i = 0; i < view->n_relays; i++) {
		if (!asked_for(request, &view->relays[i]))
			continue;
		fill_relay(&view->relays[i], &rates[i], &frames[i]);
		states[response.n_relay++] = &frames[i].state;
	}
	response.worker = workers;
	for (unsigned i = 0; i < view->n_workers; i++) {
		fill_worker(&view->workers[i], &worker_frames[i]);
		workers[response.n_worker++] = &worker_frames[i];
	}
	return wire_message_pack(&response.base, ret_message);
}

int stats_error_encode(int code, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__STATS_RESPONSE__INIT;

	switch (code) {
	case -EBADR:
		response.status = VIRTIOFORWARDER__STATS_RESPONSE__STATUS__EBADR;
		break;
	case -E2BIG:
		response.status = VIRTIOFORWARDER__STATS_RESPONSE__STATUS__E2BIG;
		break;
	default:
		response.status = VIRTIOFORWARDER__STATS_RESPONSE__STATUS__ENOMEM;
		break;
	}
	return wire_message_pack(&response.base, ret_message);
}
