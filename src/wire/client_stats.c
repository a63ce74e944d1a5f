/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "virtioforwarder.pb-c.h"
#include "wire/call.h"

typedef Virtioforwarder__StatsRequest Request;
typedef Virtioforwarder__StatsResponse Response;
typedef Virtioforwarder__StatsResponse__RelayState RelayState;
typedef Virtioforwarder__StatsResponse__Drop Drop;
typedef Virtioforwarder__StatsResponse__Slice Slice;

static void read_drops(Drop *const *drops, size_t n, struct packet_count dropped[DROP_N])
{
	for (size_t i = 0; i < n; i++)
		for (unsigned reason = 0; reason < DROP_N; reason++)
			if (strcmp(drops[i]->name, drop_reason_name(reason)) == 0)
				dropped[reason] =
					(struct packet_count){drops[i]->packets, drops[i]->bytes};
}

/* Returns the number of slices; 1 if the direction is not split. */
static unsigned read_slices(Slice *const *slices, size_t n, struct direction_stats *stats)
{
	n = MIN(n, (size_t)SLICES_MAX);
	for (size_t i = 0; i < n; i++)
		stats->slices[i] = (struct slice_stats){(int)slices[i]->cpu, slices[i]->busy_ns};
	return MAX((unsigned)n, 1);
}

#define COUNT(message, name) \
	((struct packet_count){(message)->pkts_##name, (message)->bytes_##name})

/* The fields of the two directions differ only in the names of source and destination. */
#define READ_DIRECTION(message, stats, rates, source, destination)                            \
	do {                                                                                  \
		(stats)->active = (message)->active;                                          \
		(stats)->internal_state = (message)->internal_state;                          \
		(stats)->received = COUNT(message, rx_from_##source);                         \
		(stats)->sent = COUNT(message, tx_to_##destination);                          \
		if ((message)->n_drop > 0) {                                                  \
			read_drops((message)->drop, (message)->n_drop, (stats)->dropped);     \
		} else {                                                                      \
			(stats)->dropped[DROP_QUEUE_FULL] =                                   \
				COUNT(message, dropped_##destination##_queue_full);           \
			(stats)->dropped[DROP_NOT_CONNECTED] =                                \
				COUNT(message, dropped_##destination##_not_connected);        \
		}                                                                             \
		(stats)->backlog.packets = (message)->backlog_packets;                        \
		(stats)->backlog.bytes = (message)->backlog_bytes;                            \
		(stats)->measured = (message)->has_busy_ns;                                   \
		(stats)->busy_ns = (message)->busy_ns;                                        \
		(stats)->pinned = (message)->pinned;                                          \
		(stats)->n_slices = read_slices((message)->slice, (message)->n_slice, stats); \
		(rates)->received_packets = (double)(message)->pkt_rate_rx_from_##source;     \
		(rates)->received_bytes = (double)(message)->byte_rate_rx_from_##source;      \
		(rates)->sent_packets = (double)(message)->pkt_rate_tx_to_##destination;      \
		(rates)->sent_bytes = (double)(message)->byte_rate_tx_to_##destination;       \
	} while (0)

static void read_text(char *ret_text, size_t size, const char *text)
{
	snprintf(ret_text, size, "%s", text ? text : "");
}

static void read_relay(
	const RelayState *state, struct relay_stats *relay, struct relay_rates *rates)
{
	relay->id = state->id;
	relay->active = state->active;
	relay->socket_id = state->socket_id;
	relay->numa_node = state->has_numa_node ? state->numa_node : (int)state->socket_id;
	relay->vm.listens = state->vm_listens;
	read_text(relay->ident, sizeof(relay->ident), state->ident);
	read_text(relay->device, sizeof(relay->device), state->vf ? state->vf->pci_addr_str : NULL);
	if (strcmp(state->vhost->vhost_socket_name, "NONE") != 0)
		read_text(relay->vhost_path, sizeof(relay->vhost_path),
			state->vhost->vhost_socket_name);
	READ_DIRECTION(state->vf_to_vm, &relay->vf_to_vm, &rates->vf_to_vm, vf, vm);
	READ_DIRECTION(state->vm_to_vf, &relay->vm_to_vf, &rates->vm_to_vf, vm, vf);
	relay->vf_to_vm.cpu = state->cpu && state->cpu->has_vf_to_vm ? state->cpu->vf_to_vm : -1;
	relay->vm_to_vf.cpu = state->cpu && state->cpu->has_vm_to_vf ? state->cpu->vm_to_vf : -1;
}

static void read_worker(
	const Virtioforwarder__StatsResponse__Worker *message, struct worker_stats *worker)
{
	worker->cpu = message->cpu;
	worker->numa_node = message->has_numa_node ? message->numa_node : -1;
	worker->busy_ns = message->busy_ns;
	worker->sleep_ns = message->sleep_ns;
	worker->has_waiting = message->has_waiting_ns;
	worker->waiting_ns = message->waiting_ns;
}

static int check_status(const Response *response, struct err *err)
{
	switch ((int)response->status) {
	case VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK:
		return 0;
	case VIRTIOFORWARDER__STATS_RESPONSE__STATUS__E2BIG:
		return err_set(err, E2BIG,
			"the daemon refused the request: too many relays, or too long a delay");
	case VIRTIOFORWARDER__STATS_RESPONSE__STATUS__ENOMEM:
		return err_set(err, ENOMEM, "the daemon has no memory left for the answer");
	default:
		return err_set(err, EBADR, "the daemon could not read the request (status %d)",
			(int)response->status);
	}
}

static int read_response(ProtobufCMessage *message, struct stats_reply **ret_reply, struct err *err)
{
	const Response *response = (const Response *)message;
	struct stats_reply *reply;
	int r = check_status(response, err);

	if (r < 0)
		return r;
	reply = calloc(1, sizeof(*reply));
	if (!reply)
		return err_set(err, ENOMEM, "out of memory");
	reply->message = message;
	for (size_t i = 0; i < response->n_relay && reply->n < RELAYS_MAX; i++) {
		if (response->relay[i]->id >= RELAYS_MAX)
			continue;
		read_relay(response->relay[i], &reply->relays[reply->n], &reply->rates[reply->n]);
		reply->n++;
	}
	reply->n_workers = (unsigned)MIN(response->n_worker, (size_t)WORKERS_MAX);
	for (unsigned i = 0; i < reply->n_workers; i++)
		read_worker(response->worker[i], &reply->workers[i]);
	*ret_reply = reply;
	return 0;
}

int client_stats(const char *endpoint, const struct stats_request *request,
	struct stats_reply **ret_reply, struct err *err)
{
	Request wire = VIRTIOFORWARDER__STATS_REQUEST__INIT;
	uint32_t relays[RELAYS_MAX];
	ProtobufCMessage *message;
	int r;

	wire.relay = relays;
	for (uint32_t id = 0; id < RELAYS_MAX && request->relays != STATS_RELAYS_ALL; id++)
		if (request->relays >> id & 1)
			relays[wire.n_relay++] = id;
	wire.has_include_inactive = wire.has_delay = true;
	wire.include_inactive = request->include_inactive;
	wire.delay = request->delay_ms;

	r = wire_call(endpoint, CLIENT_TIMEOUT_MS + (int)request->delay_ms, &wire.base,
		&virtioforwarder__stats_response__descriptor, &message, err);
	if (r < 0)
		return r;
	r = read_response(message, ret_reply, err);
	if (r < 0)
		protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

struct stats_reply *stats_reply_free(struct stats_reply *reply)
{
	if (reply)
		protobuf_c_message_free_unpacked(reply->message, NULL);
	free(reply);
	return NULL;
}
