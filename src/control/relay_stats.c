/* SPDX-License-Identifier: BSD-3-Clause */

/* The statistics of a relay: its counters, its ends and where its lanes run. */

#include <string.h>

#include "control/relay_internal.h"
#include "core/gate/gate.h"

static void add_count(struct packet_count *to, struct tally what)
{
	to->packets += what.packets;
	to->bytes += what.bytes;
}

/* The CPU of the lane's worker; -1: no worker runs it. */
static int cpu_of(const struct relay *relay, const struct lane *lane)
{
	return lane->worker >= 0 ? (int)workers_cpu(relay->env->workers, lane->worker) : -1;
}

/* Sums over all slices: those not in use now may have counted before. */
static void read_direction(
	const struct relay *relay, enum direction direction, struct direction_stats *ret_stats)
{
	struct relay *lanes = (struct relay *)relay; /* relay_lane() also serves writers */
	struct counters_snapshot counters;

	ret_stats->pinned = relay->env->config->pins[relay->id].set;
	ret_stats->measured = true;
	ret_stats->n_slices = relay->n_slices;
	for (unsigned slice = 0; slice < SLICES_MAX; slice++) {
		const struct lane *lane = relay_lane(lanes, direction, slice);
		struct slice_stats *stats = &ret_stats->slices[slice];
		stats->cpu = cpu_of(relay, lane);
		stats->busy_ns = workers_cycles_to_ns(atomic_load(&lane->busy_cycles));
		ret_stats->busy_ns += stats->busy_ns;
		counters_read(&lane->counters, &counters);
		add_count(&ret_stats->received, counters.received);
		add_count(&ret_stats->sent, counters.sent);
		add_count(&ret_stats->backlog, counters.backlog);
		for (unsigned i = 0; i < DROP_N; i++)
			add_count(&ret_stats->dropped[i], counters.dropped[i]);
		for (unsigned i = 0; i < BURST_BUCKETS; i++)
			ret_stats->bursts[i] += counters.bursts[i];
	}
	ret_stats->cpu = ret_stats->slices[0].cpu;
}

static void format_device(const struct relay *relay, char ret_text[static DEVICE_TEXT_SIZE])
{
	ret_text[0] = '\0';
	if (device_spec_is_bond(&relay->device))
		strcpy(ret_text, relay->device.bond_name);
	else if (relay_has_device(relay))
		device_id_format_wire(&relay->device.members[0], ret_text);
}

static const char *device_state(const struct relay *relay)
{
	if (relay->vf != NULL)
		return "DPDK_READY";
	return relay_has_device(relay) ? "DPDK_ADDED" : "DPDK_UNINIT";
}

static struct vm_stats read_vm(const struct relay *relay)
{
	struct guest *guest = relay->guest;
	struct vm_stats stats = {.numa_node = -1};

	if (guest == NULL)
		return stats;
	stats.listens = guest->options.client;
	stats.sessions = atomic_load(&guest->n_sessions);
	stats.announcements = atomic_load(&guest->n_announcements);
	stats.refusals = gate_refusals(guest->gate);
	if (guest_ready(guest)) {
		stats.features = atomic_load(&guest->features);
		stats.broken_rings = guest_retired_rings(guest);
		stats.migrates = guest_migrates(guest);
		stats.numa_node = atomic_load(&guest->numa_node);
		stats.n_queues = atomic_load(&guest->n_queues);
	}
	return stats;
}

/* The VM's queues of a direction. */
static void read_queues(
	struct guest *guest, enum direction direction, struct direction_stats *ret_stats)
{
	for (unsigned q = 0; guest != NULL && q < QUEUE_PAIRS_MAX; q++) {
		const struct guest_ring_stats ring = guest_ring_stats(guest,
			direction == VF_TO_VM ? GUEST_RECEIVE_RING(q) : GUEST_TRANSMIT_RING(q));
		ret_stats->queues[q] = (struct queue_stats){.ring_size = ring.size,
			.packets = ring.n_packets,
			.dropped = ring.n_dropped};
		ret_stats->interrupts += ring.n_calls;
	}
}

void relay_read_stats(const struct relay *relay, struct relay_stats *ret_stats)
{
	bool device = relay->vf != NULL;
	bool vm = guest_ready(relay->guest);

	*ret_stats = (struct relay_stats){.id = relay->id, .active = device && vm};
	strcpy(ret_stats->ident, relay->ident);
	strcpy(ret_stats->vhost_path, relay_socket(relay));
	format_device(relay, ret_stats->device);
	ret_stats->socket_id = device ? MAX(relay->vf->pool_node, 0) : 0;
	ret_stats->numa_node = relay_node(relay);
	ret_stats->device_node = device ? relay->vf->node : -1;
	ret_stats->vm = read_vm(relay);
	read_direction(relay, VF_TO_VM, &ret_stats->vf_to_vm);
	read_queues(relay->guest, VF_TO_VM, &ret_stats->vf_to_vm);
	ret_stats->vf_to_vm.active = device;
	ret_stats->vf_to_vm.internal_state = device_state(relay);
	read_direction(relay, VM_TO_VF, &ret_stats->vm_to_vf);
	read_queues(relay->guest, VM_TO_VF, &ret_stats->vm_to_vf);
	ret_stats->vm_to_vf.active = vm;
	ret_stats->vm_to_vf.internal_state = vm ? "VIRTIO_READY" : "VIRTIO_UNINIT";
}
