/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/relay.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/placement.h"
#include "core/vf.h"

#define MTU_STANDARD 1500
#define MTU_JUMBO 9000

void relay_init(struct relay *relay, unsigned id, const struct relay_env *env)
{
	*relay = (struct relay){.id = id, .env = env};
	for (unsigned i = 0; i < DIRECTIONS_N; i++)
		lane_init(&relay->lanes[i], env->discard_pool);
}

void relay_fini(struct relay *relay)
{
	relay_close_socket(relay);
	relay_detach(relay);
	for (unsigned i = 0; i < DIRECTIONS_N; i++)
		lane_drain(&relay->lanes[i]);
}

static void retract_lanes(struct relay *relay)
{
	for (unsigned i = 0; i < DIRECTIONS_N; i++)
		workers_retract(relay->env->workers, i, &relay->lanes[i]);
}

/* Gives the lanes that have something to poll to workers, with the ends as they are now. */
static void grant_lanes(struct relay *relay)
{
	const struct config_pin *pin = &relay->env->config->pins[relay->id];
	bool wanted[DIRECTIONS_N] = {
		[VF_TO_VM] = relay->vf != NULL,
		[VM_TO_VF] = relay->guest != NULL,
	};

	for (unsigned i = 0; i < DIRECTIONS_N; i++) {
		relay->lanes[i].vf = relay->vf;
		relay->lanes[i].guest = relay->guest;
		if (wanted[i])
			workers_grant(relay->env->workers,
				placement_choose(relay->env->workers, pin, i), i, &relay->lanes[i]);
	}
}

int relay_attach(struct relay *relay, const struct op_device *device, struct err *err)
{
	struct vf_options options = {
		.relay_id = relay->id,
		.mtu = relay->env->config->jumbo ? MTU_JUMBO : MTU_STANDARD,
	};
	struct vf *vf;

	int r = vf_open(&vf, device, &options, err);
	if (r < 0)
		return err_prefix(err, r, "relay %u", relay->id);
	retract_lanes(relay);
	relay->vf = vf;
	relay->device = *device;
	grant_lanes(relay);
	log_info("relay %u: device %s attached", relay->id, vf->name);
	return 0;
}

void relay_detach(struct relay *relay)
{
	if (relay->vf == NULL)
		return;
	retract_lanes(relay);
	for (unsigned i = 0; i < DIRECTIONS_N; i++)
		lane_drain(&relay->lanes[i]);
	log_info("relay %u: device %s detached", relay->id, relay->vf->name);
	relay->vf = vf_close(relay->vf);
	relay->device = (struct op_device){0};
	grant_lanes(relay);
}

int relay_open_socket(struct relay *relay, const char *path, enum socket_mode mode, struct err *err)
{
	const struct relay_env *env = relay->env;
	struct guest_options options = {
		.relay_id = relay->id,
		.client = mode == SOCKET_MODE_CLIENT ||
	                  (mode == SOCKET_MODE_DEFAULT && env->config->vhost_client),
		.mergeable = env->config->mrgbuf,
		.uid = env->socket_uid,
		.gid = env->socket_gid,
		.epoch = workers_epoch(env->workers),
		.changed = env->guest_changed,
		.userdata = env->userdata,
	};
	struct guest *guest;

	int r = guest_open(&guest, path, &options, err);
	if (r < 0)
		return err_prefix(err, r, "relay %u", relay->id);
	retract_lanes(relay);
	relay->guest = guest;
	relay->n_sessions_seen = 0;
	relay->ready_seen = false;
	grant_lanes(relay);
	return 0;
}

void relay_close_socket(struct relay *relay)
{
	if (relay->guest == NULL)
		return;
	retract_lanes(relay);
	relay->guest = guest_close(relay->guest);
	grant_lanes(relay);
}

const char *relay_socket(const struct relay *relay)
{
	return relay->guest != NULL ? relay->guest->path : "";
}

void relay_move(struct relay *relay, enum direction direction, unsigned worker)
{
	struct lane *lane = &relay->lanes[direction];

	if (lane->worker < 0 || lane->worker == (int)worker)
		return;
	workers_retract(relay->env->workers, direction, lane);
	workers_grant(relay->env->workers, worker, direction, lane);
}

void relay_report_guest(struct relay *relay)
{
	if (relay->guest == NULL)
		return;

	unsigned n_sessions = atomic_load(&relay->guest->n_sessions);
	bool ready = guest_ready(relay->guest);
	bool returned = n_sessions != relay->n_sessions_seen;

	if (relay->ready_seen && (!ready || returned))
		log_info("relay %u: VM detached from %s", relay->id, relay->guest->path);
	if (ready && (!relay->ready_seen || returned))
		log_info("relay %u: VM attached to %s", relay->id, relay->guest->path);
	relay->n_sessions_seen = n_sessions;
	relay->ready_seen = ready;
}

static struct packet_count count_of(struct tally tally)
{
	return (struct packet_count){.packets = tally.packets, .bytes = tally.bytes};
}

static void read_direction(
	const struct relay *relay, enum direction direction, struct direction_stats *ret_stats)
{
	const struct lane *lane = &relay->lanes[direction];
	struct counters_snapshot counters;

	counters_read(&lane->counters, &counters);
	ret_stats->cpu =
		lane->worker >= 0 ? (int)workers_cpu(relay->env->workers, lane->worker) : -1;
	ret_stats->received = count_of(counters.received);
	ret_stats->sent = count_of(counters.sent);
	ret_stats->backlog = count_of(counters.backlog);
	for (unsigned i = 0; i < DROP_N; i++)
		ret_stats->dropped[i] = count_of(counters.dropped[i]);
}

static void format_device(const struct relay *relay, char ret_text[static DEVICE_TEXT_SIZE])
{
	ret_text[0] = '\0';
	if (relay->device.bond_name[0] != '\0')
		strcpy(ret_text, relay->device.bond_name);
	else if (relay_has_device(relay))
		device_id_format_wire(&relay->device.members[0], ret_text);
}

void relay_read_stats(const struct relay *relay, struct relay_stats *ret_stats)
{
	bool device = relay_has_device(relay);
	bool vm = guest_ready(relay->guest);

	*ret_stats = (struct relay_stats){.id = relay->id, .active = device && vm};
	strcpy(ret_stats->ident, relay->ident);
	strcpy(ret_stats->vhost_path, relay_socket(relay));
	format_device(relay, ret_stats->device);
	ret_stats->socket_id = device ? MAX(relay->vf->socket, 0) : 0;
	read_direction(relay, VF_TO_VM, &ret_stats->vf_to_vm);
	ret_stats->vf_to_vm.active = device;
	ret_stats->vf_to_vm.internal_state = device ? "DPDK_READY" : "DPDK_UNINIT";
	read_direction(relay, VM_TO_VF, &ret_stats->vm_to_vf);
	ret_stats->vm_to_vf.active = vm;
	ret_stats->vm_to_vf.internal_state = vm ? "VIRTIO_READY" : "VIRTIO_UNINIT";
}
