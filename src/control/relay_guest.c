/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/relay_internal.h"

#include <linux/virtio_config.h>
#include <stdio.h>

#include "control/placement.h"
#include "core/dpdk/hugepages.h"
#include "core/guest/guest_dma.h"

/*
 * The lanes must be retracted. When this returns, no lent packet is out any more. A device that
 * does not send its packets in time is restarted and lent nothing from then on; otherwise its VM
 * could cause restarts again and again. If that fails, it is opened anew.
 */
static void recall_loans(struct relay *relay)
{
	struct err err;

	if (relay->vf == NULL || vm_to_vf_settle(relay->vm_to_vf, SLICES_MAX))
		return;
	relay->vf->lending = LENDS_NOTHING;
	int r = vf_restart(relay->vf, &err);
	if (r < 0) {
		err_prefix(&err, r, "relay %u", relay->id);
		relay_give_up_device(relay, &err);
	} else {
		log_relay_warning(relay,
			"relay %u: device %s has not sent what lies in the memory of the VM on "
			"%s, and was restarted (is its link up?); packets are copied until it "
			"is attached anew",
			relay->id, device_spec_name(&relay->device), relay->guest->path);
	}
}

/* Packets from VMs that devices have refused for ever. */
static unsigned count_refused(const struct relay *relay)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLICES_MAX; i++)
		n += atomic_load(&relay->vm_to_vf[i].n_refused);
	return n;
}

void relay_say_refused(struct relay *relay)
{
	const unsigned n = count_refused(relay);

	if (n == relay->n_refused_logged)
		return;
	relay->n_refused_logged = n;
	log_relay_warning(relay,
		"relay %u: device %s refuses packets: it takes others instead, or nothing for 10 s "
		"while its link is up; packets that the relay has dropped for that so far: %u",
		relay->id, device_spec_name(&relay->device), n);
}

/* The vhost thread, a worker or the control thread. */
static void on_guest_changed(void *userdata)
{
	struct relay *relay = userdata;

	atomic_store(&relay->guest_changed, true);
	relay->env->wake_control(relay->env->userdata);
}

int relay_open_socket(struct relay *relay, const char *path, enum socket_mode mode, struct err *err)
{
	const struct relay_env *env = relay->env;
	struct guest_options options = {
		.relay_id = relay->id,
		.client = mode == SOCKET_MODE_CLIENT ||
	                  (mode == SOCKET_MODE_DEFAULT && env->config->vhost_client),
		.mergeable = env->config->mrgbuf,
		.tso = env->config->tso,
		.zero_copy = env->config->zero_copy,
		.uid = env->config->socket_uid,
		.gid = env->config->socket_gid,
		.epoch = workers_epoch(env->workers),
		.keeper = env->keeper,
		.changed = on_guest_changed,
		.userdata = relay,
	};
	struct guest *guest;

	int r = guest_open(&guest, path, &options, err);
	if (r < 0)
		return err_prefix(err, r, "relay %u", relay->id);
	relay_retract_lanes(relay);
	relay->guest = guest;
	relay->n_sessions_seen = relay->n_faults_logged = 0;
	relay_grant_lanes(relay);
	return 0;
}

/*
 * Describes what the VM has brought: ": 4 queues offered, split rings of 256/1024, NUMA node 0". It
 * enables all but the first queue later. "" if it has just gone.
 */
static void describe_vm(struct guest *guest, char *ret_text, size_t size)
{
	const unsigned receive = guest_ring_stats(guest, GUEST_RECEIVE_RING(0)).size;
	const unsigned transmit = guest_ring_stats(guest, GUEST_TRANSMIT_RING(0)).size;
	const unsigned n_queues = atomic_load(&guest->n_queues);
	const int node = guest_numa_node(guest);

	ret_text[0] = '\0';
	if (receive == 0 || transmit == 0)
		return;
	int n = snprintf(ret_text, size, ": %u %s offered, %s rings of %u/%u", n_queues,
		n_queues == 1 ? "queue" : "queues",
		atomic_load(&guest->features) >> VIRTIO_F_RING_PACKED & 1 ? "packed" : "split",
		receive, transmit);
	if (node >= 0)
		snprintf(ret_text + n, size - n, ", NUMA node %d", node);
}

static void say_attached(struct relay *relay, bool attached)
{
	char vm[128];

	relay->ready_logged = attached;
	if (!attached) {
		log_relay_event(relay, "vm-detached", "relay %u: VM detached from %s", relay->id,
			relay->guest->path);
		return;
	}
	describe_vm(relay->guest, vm, sizeof(vm));
	log_relay_event(relay, "vm-attached", "relay %u: VM attached to %s%s", relay->id,
		relay->guest->path, vm);
}

static void say_migrates(struct relay *relay, bool migrates)
{
	relay->migration_logged = migrates;
	if (migrates)
		log_relay_event(relay, "migration-started",
			"relay %u: the VM on %s is being migrated away", relay->id,
			relay->guest->path);
	else
		log_relay_event(relay, "migration-ended",
			"relay %u: the migration of the VM on %s is over", relay->id,
			relay->guest->path);
}

/* Logs the VM's end whatever the limit says: it is we who end it, so no VM can flood the log so. */
void relay_close_socket(struct relay *relay)
{
	if (relay->guest == NULL)
		return;
	relay_retract_lanes(relay);
	recall_loans(relay);
	relay_drain_lanes(relay);
	if (relay->ready_logged)
		say_attached(relay, false);
	if (relay->migration_logged)
		say_migrates(relay, false);
	relay->guest = guest_close(relay->guest);
	relay_grant_lanes(relay);
}

bool relay_map_memory(struct relay *relay)
{
	struct err err;

	if (relay->guest == NULL || relay->vf == NULL || relay->vf->lending != LENDS_ASYNCHRONOUSLY)
		return false;
	int r = guest_dma_map(relay->guest, &err);
	if (r < 0 && log_limit_pass(&relay->fault_limit, LOG_WARNING))
		log_relay_warning(relay, "relay %u: %s", relay->id, err.text);
	if (r == GUEST_DMA_DONE && log_limit_pass(&relay->event_limit, LOG_INFO))
		log_relay_info(relay,
			"relay %u: device %s reads the memory of the VM on %s by itself", relay->id,
			device_spec_name(&relay->device), relay->guest->path);
	return r != GUEST_DMA_NOTHING;
}

static void log_faults(struct relay *relay)
{
	unsigned n_faults = atomic_load(&relay->guest->n_faults);

	if (n_faults == relay->n_faults_logged || !log_limit_try(&relay->fault_limit, LOG_WARNING))
		return;
	relay->n_faults_logged = n_faults;
	log_relay_warning(relay,
		"relay %u: the VM on %s broke the rules of a ring (%s); rings given up "
		"so far: %u, each until the VM's driver sets it up again",
		relay->id, relay->guest->path,
		ring_fault_text(atomic_load(&relay->guest->last_fault)), n_faults);
}

static void log_refused(struct relay *relay)
{
	if (count_refused(relay) != relay->n_refused_logged &&
		log_limit_try(&relay->fault_limit, LOG_WARNING))
		relay_say_refused(relay);
}

void relay_log_guest(struct relay *relay)
{
	if (relay->guest == NULL)
		return;
	bool ready = guest_ready(relay->guest); /* before the number, see serve() */
	unsigned n_sessions = atomic_load(&relay->guest->n_sessions);
	bool has_gone = !ready || n_sessions != relay->n_sessions_logged;
	bool migrates = ready && guest_migrates(relay->guest);

	if (relay->ready_logged && has_gone && log_limit_try(&relay->event_limit, LOG_INFO))
		say_attached(relay, false);
	if (ready && !relay->ready_logged && log_limit_try(&relay->event_limit, LOG_INFO)) {
		say_attached(relay, true);
		relay->n_sessions_logged = n_sessions;
	}
	if (migrates != relay->migration_logged && log_limit_try(&relay->event_limit, LOG_INFO))
		say_migrates(relay, migrates);
	log_faults(relay);
	log_refused(relay);
}

static bool has_remote_lane(struct relay *relay, int node)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < relay->n_slices; i++) {
			int worker = relay_lane(relay, d, i)->worker;
			if (worker >= 0 && placement_is_remote(relay->env->placement, worker, node))
				return true;
		}
	return false;
}

/*
 * When a VM has just connected: moves the lanes and the packet pool to the node of its memory if
 * they are on another one. Packets that the device receives during its restart are lost.
 */
static void follow_memory(struct relay *relay)
{
	int node = guest_numa_node(relay->guest);
	bool pool_moves = relay->vf != NULL && vf_pool_can_move(relay->vf, node);
	struct err err;

	if (node < 0)
		return;
	if (relay->vf != NULL && hugepages_node(node) != node &&
		log_limit_pass(&relay->event_limit, LOG_INFO))
		log_relay_info(relay,
			"relay %u: the VM's memory is on NUMA node %d, its packets are kept on "
			"node %d, where there are workers",
			relay->id, node, relay->vf->pool_node);
	if (!pool_moves && !has_remote_lane(relay, node))
		return;
	relay_retract_lanes(relay);
	if (pool_moves && relay_move_pool(relay, relay->vf, node, &err) < 0)
		relay_give_up_device(relay, &err);
	relay_grant_lanes(relay);
}

void relay_recall(struct relay *relay)
{
	if (relay->guest == NULL || !atomic_exchange(&relay->guest->unsent, false))
		return;
	relay_retract_lanes(relay);
	recall_loans(relay);
	guest_dma_unmap(relay->guest);
	relay_grant_lanes(relay);
}

static void wake_workers(struct relay *relay)
{
	bool woken[WORKERS_MAX] = {false};

	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < relay->n_slices; i++) {
			int worker = relay_lane(relay, d, i)->worker;
			if (worker >= 0 && !woken[worker])
				workers_wake(relay->env->workers, worker);
			if (worker >= 0)
				woken[worker] = true;
		}
}

static void follow(struct relay *relay)
{
	bool ready = guest_ready(relay->guest);
	unsigned n_sessions = atomic_load(&relay->guest->n_sessions);

	relay_log_guest(relay);
	if (ready && n_sessions != relay->n_sessions_seen) {
		relay->n_sessions_seen = n_sessions;
		follow_memory(relay);
	}
	relay_spread(relay);
	wake_workers(relay);
}

void relay_follow_guest(struct relay *relay)
{
	if (atomic_exchange(&relay->guest_changed, false) && relay->guest != NULL)
		follow(relay);
}
