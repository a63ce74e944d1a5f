/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/relay_internal.h"

#include <string.h>

#include "base/log.h"
#include "control/device_watch.h"
#include "control/placement.h"
#include "core/dpdk/eal.h"
#include "core/dpdk/epoch.h"
#include "core/guest/guest_dma.h"
#include "core/vf/port.h"
#include "core/vf/vf_counters.h"
#include "host/bind.h"
#include "host/pci.h"
#include "host/sysfs.h"
#include "host/usable.h"

/* Of a VM in one go; see log_limit_pass(). A boot and a migration are some ten events. */
#define FAULTS_LOGGED 3
#define EVENTS_LOGGED 20

#define MTU_STANDARD 1500
#define MTU_JUMBO 9000

void relay_init(struct relay *relay, unsigned id, const struct relay_env *env)
{
	*relay = (struct relay){
		.id = id,
		.env = env,
		.n_slices = 1,
		.fault_limit = LOG_LIMIT_OF_RELAY(FAULTS_LOGGED, id),
		.event_limit = LOG_LIMIT_OF_RELAY(EVENTS_LOGGED, id),
	};
	for (unsigned i = 0; i < SLICES_MAX; i++) {
		vf_to_vm_init(&relay->vf_to_vm[i], i);
		vm_to_vf_init(&relay->vm_to_vf[i], i, env->discard_pool);
	}
}

void relay_drain_lanes(struct relay *relay)
{
	relay_say_refused(relay);
	for (unsigned i = 0; i < SLICES_MAX; i++) {
		vf_to_vm_drain(&relay->vf_to_vm[i]);
		vm_to_vf_drain(&relay->vm_to_vf[i]);
	}
}

void relay_fini(struct relay *relay)
{
	relay_close_socket(relay);
	relay_detach(relay);
}

void relay_retract_lanes(struct relay *relay)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < SLICES_MAX; i++)
			workers_retract(relay->env->workers, relay_lane(relay, d, i));
}

int relay_node(const struct relay *relay)
{
	int node = guest_numa_node(relay->guest);

	return node < 0 && relay->vf != NULL ? relay->vf->pool_node : node;
}

static void grant_direction(struct relay *relay, enum direction direction)
{
	const struct config_pin *pin = &relay->env->config->pins[relay->id];

	for (unsigned i = 0; i < relay->n_slices; i++) {
		struct lane *lane = relay_lane(relay, direction, i);
		lane->vf = relay->vf;
		lane->guest = relay->guest;
		lane->n_slices = relay->n_slices;
		workers_grant(relay->env->workers,
			placement_choose(relay->env->placement, pin, direction, relay_node(relay)),
			direction, lane);
	}
}

void relay_spread(struct relay *relay)
{
	unsigned n_queues = guest_receive_queues(relay->guest);

	if (relay->vf == NULL || n_queues == 0 || n_queues == relay->n_spread)
		return;
	vf_spread(relay->vf, n_queues);
	relay->n_spread = n_queues;
}

void relay_grant_lanes(struct relay *relay)
{
	relay->n_slices = relay->vf != NULL
	                          ? MIN(relay->vf->n_queues, workers_count(relay->env->workers))
	                          : 1;
	if (relay->vf != NULL)
		grant_direction(relay, VF_TO_VM);
	if (relay->guest != NULL)
		grant_direction(relay, VM_TO_VF);
	/* A device that was opened or restarted has its driver's default RSS table. */
	relay->n_spread = 0;
	relay_spread(relay);
	sd_event_source_set_enabled(relay->env->mapping, SD_EVENT_ON);
}

/* The worker that runs each lane; -1 for none. */
struct holders {
	int workers[DIRECTIONS_N][SLICES_MAX];
};

/* Retracts the lanes for a short time in which neither end of the relay is exchanged. */
static struct holders suspend_lanes(struct relay *relay)
{
	struct holders holders;

	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < SLICES_MAX; i++)
			holders.workers[d][i] = relay_lane(relay, d, i)->worker;
	relay_retract_lanes(relay);
	return holders;
}

/* Grants the lanes to the workers that had them before. */
static void return_lanes(struct relay *relay, const struct holders *holders)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned i = 0; i < SLICES_MAX; i++)
			if (holders->workers[d][i] >= 0)
				workers_grant(relay->env->workers, holders->workers[d][i], d,
					relay_lane(relay, d, i));
}

static bool is_left_to_the_kernel(const struct device_id *id)
{
	if (!id->is_pci)
		return false;
	const enum host_driver_kind kind = host_pci_driver_kind(SYSFS_ROOT, &id->pci);
	return kind == HOST_DRIVER_NONE || kind == HOST_DRIVER_KEEPS;
}

static int bind_member(const struct relay *relay, const struct device_id *id, struct err *err)
{
	int r = host_bind_device(SYSFS_ROOT, &id->pci, HOST_BIND_DRIVER, err);

	if (r > 0)
		log_info("relay %u: %s bound to " HOST_BIND_DRIVER, relay->id, id->text);
	return r;
}

/* Binds the members that the operator listed: they may have appeared after the daemon's start. */
static int bind_members(
	const struct relay *relay, const struct device_spec *device, struct err *err)
{
	const char *list = relay->env->config->bind_vfio_pci;
	int r = 0;

	for (unsigned i = 0; list != NULL && r >= 0 && i < device->n_members; i++)
		if (is_left_to_the_kernel(&device->members[i]) &&
			host_bind_list_has(SYSFS_ROOT, list, &device->members[i].pci))
			r = bind_member(relay, &device->members[i], err);
	return r < 0 ? err_prefix(err, r, "relay %u", relay->id) : 0;
}

/*
 * The present state of a member. Taken before the device is opened, so that whatever happens to it
 * in the meantime is noticed afterwards.
 */
static struct relay_member member_now(const struct device_id *id)
{
	if (!id->is_pci)
		return (struct relay_member){0};
	return (struct relay_member){
		.incarnation = host_pci_incarnation(SYSFS_ROOT, &id->pci),
		.link_ups = host_vf_link_ups(SYSFS_ROOT, &id->pci),
	};
}

/*
 * Why a device could not be opened: what the host knows, else what DPDK says, which is r and err.
 * Of a wrong VF token it only says that VFIO does not hand out the device: "Getting a vfio_dev_fd
 * for ... failed".
 */
static int find_reason(
	const struct config *config, const struct device_spec *device, int r, struct err *err)
{
	const struct host_use use = {.physical_addresses = eal_uses_physical_addresses(),
		.vf_token = config->vfio_vf_token != NULL};
	bool wants_token = false;

	for (unsigned i = 0; i < device->n_members; i++) {
		const struct pci_addr *addr = &device->members[i].pci;
		if (!device->members[i].is_pci)
			continue;
		int reason = host_pci_usable(SYSFS_ROOT, "/dev", addr, &use, err);
		if (reason < 0)
			return reason;
		wants_token = wants_token || host_pci_wants_vf_token(SYSFS_ROOT, addr);
	}
	if (wants_token && strstr(err->text, "vfio_dev_fd") != NULL)
		err_prefix(err, r,
			"perhaps VIRTIOFWD_VFIO_VF_TOKEN is not the token of the PF's program");
	return r;
}

int relay_move_pool(struct relay *relay, struct vf *vf, int node, struct err *err)
{
	if (!vf_pool_can_move(vf, node))
		return 0;
	int r = vf_move_pool(vf, node, err);
	if (r < 0)
		return err_prefix(err, r, "relay %u", relay->id);
	if (!log_limit_pass(&relay->event_limit, r == 0 ? LOG_WARNING : LOG_INFO))
		return 0;
	if (r == 0)
		log_relay_warning(relay, "relay %u: %s; it stays on NUMA node %d", relay->id,
			err->text, vf->pool_node);
	else
		log_relay_info(relay,
			"relay %u: packet pool moved to NUMA node %d, that of the VM's memory",
			relay->id, node);
	return 0;
}

/* Makes a device that has been opened the relay's, or closes it. The VM may be there already. */
static int take_over_device(struct relay *relay, struct vf *vf, struct err *err)
{
	int r = relay_move_pool(relay, vf, guest_numa_node(relay->guest), err);

	if (r < 0) {
		vf_close(vf);
		return r;
	}
	relay_retract_lanes(relay);
	relay->vf = vf;
	return 0;
}

/*
 * Opens a device and makes it the relay's. On attaching, relay->device is still empty. On reopening
 * it is the device with all its members, of which a bond's `device` has one that is back.
 */
static int open_device(struct relay *relay, const struct device_spec *device, struct err *err)
{
	const struct config *config = relay->env->config;
	struct vf_options options = {
		.relay_id = relay->id,
		.mtu = config->jumbo ? MTU_JUMBO : MTU_STANDARD,
		.interrupts = !device_spec_is_bond(device) && device->members[0].is_pci
	                              ? host_pci_interrupts(SYSFS_ROOT, &device->members[0].pci)
	                              : 0,
		.n_members = relay->device.n_members,
		.most = device_spec_is_bond(&relay->device) && relay->most.queues > 0 ? &relay->most
	                                                                              : NULL,
		.zero_copy = config->zero_copy,
	};
	struct vf *vf;

	int r = vf_open(&vf, device, &options, err);
	if (r == 0)
		return take_over_device(relay, vf, err);
	r = find_reason(config, device, r, err);
	return err_prefix(err, r, "relay %u", relay->id);
}

/*
 * Compares what the device has with what it had before: a PF that is being reset may grant less
 * than usual.
 */
static void compare_means(struct relay *relay)
{
	const struct vf_means now = vf_means(relay->vf);
	struct vf_means *most = &relay->most;

	if (now.queues < most->queues || now.mtu < most->mtu ||
		(most->interrupts && !now.interrupts))
		log_relay_warning(relay,
			"relay %u: device %s has less than before: %u of %u queues, an MTU of %u "
			"of %u, %s; remove and add it to try for more",
			relay->id, device_spec_name(&relay->device), now.queues, most->queues,
			now.mtu, most->mtu,
			now.interrupts ? "receive interrupts" : "no receive interrupts");
	else
		*most = now;
}

/* With the link of a single device. A bond has none yet, even if its members have. */
static void say_device_attached(struct relay *relay)
{
	char link[128] = "";

	if (!relay->vf->bond)
		port_describe_link(relay->device.members[0].name, link, sizeof(link));
	log_relay_event(relay, "device-attached", "relay %u: device %s attached%s%s", relay->id,
		relay->vf->name, link[0] != '\0' ? ": " : "", link);
}

int relay_attach(struct relay *relay, const struct device_spec *device, struct err *err)
{
	struct relay_member members[BOND_MEMBERS_MAX];

	int r = bind_members(relay, device, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < device->n_members; i++)
		members[i] = member_now(&device->members[i]);
	r = open_device(relay, device, err);
	if (r < 0)
		return r;
	relay->device = *device;
	/* The VM keeps it, whichever members are there. */
	vf_read_mac(relay->vf, relay->device.bond_mac);
	memcpy(relay->members, members, device->n_members * sizeof(members[0]));
	relay_grant_lanes(relay);
	say_device_attached(relay);
	compare_means(relay);
	return 0;
}

/*
 * Retracts the lanes from the device and closes it. If it is away, they hold nothing but perhaps
 * the VM's announcement, which waits for the next device.
 */
static void close_device(struct relay *relay)
{
	relay_retract_lanes(relay);
	if (relay->vf == NULL)
		return;
	relay_drain_lanes(relay);
	vm_to_vf_settle(relay->vm_to_vf, SLICES_MAX);
	vf_stop(relay->vf);
	if (relay->guest != NULL)
		guest_dma_unmap(relay->guest);
	relay->vf = vf_close(relay->vf);
}

void relay_detach(struct relay *relay)
{
	if (!relay_has_device(relay))
		return;
	log_relay_event(relay, "device-detached", "relay %u: device %s detached", relay->id,
		device_spec_name(&relay->device));
	close_device(relay);
	relay->device = (struct device_spec){0};
	relay->most = (struct vf_means){0};
	relay_grant_lanes(relay);
}

void relay_follow_links(struct relay *relay)
{
	if (relay->vf != NULL && vf_follow_links(relay->vf))
		guest_announce(relay->guest);
}

/*
 * Here and in take_member_in(), everything slow is done while the bond carries on with its other
 * members.
 */
static void take_member_out(struct relay *relay, const struct device_id *id)
{
	struct holders holders;
	uint16_t port;

	if (port_find(&port, id) < 0)
		return;
	holders = suspend_lanes(relay);
	vf_remove_member(relay->vf, port);
	return_lanes(relay, &holders);
	relay_follow_links(relay);
	vf_keep_counters(relay->vf, port);
	port_close(port);
}

static int take_member_in(struct relay *relay, const struct device_id *id, struct err *err)
{
	struct holders holders;
	uint16_t port;

	int r = port_open(&port, id, err);
	if (r < 0)
		return err_prefix(err, r, "relay %u", relay->id);
	holders = suspend_lanes(relay);
	r = vf_add_member(relay->vf, port, err);
	return_lanes(relay, &holders);
	if (r == 0)
		return 0;
	port_close(port);
	return err_prefix(err, r, "relay %u", relay->id);
}

static void say_lost(const struct relay *relay, const char *device, const char *why, bool last)
{
	log_relay_event(relay, "device-lost",
		"relay %u: device %s is away: %s; %s until it is back", relay->id, device, why,
		last ? "its VM keeps its interface and reaches nobody"
		     : "its bond goes on without it");
}

void relay_lose(struct relay *relay, unsigned member, const char *why)
{
	const struct device_id *id = &relay->device.members[member];
	bool last = true;

	if (relay->members[member].away)
		return;
	relay->members[member].away = true;
	for (unsigned i = 0; i < relay->device.n_members; i++)
		last = last && relay->members[i].away;
	if (last) {
		close_device(relay);
		relay_grant_lanes(relay);
	} else {
		take_member_out(relay, id);
	}
	say_lost(relay, id->text, why, last);
}

void relay_give_up_device(struct relay *relay, const struct err *why)
{
	for (unsigned i = 0; i < relay->device.n_members; i++)
		relay->members[i].away = true;
	close_device(relay);
	log_relay_error(relay, "%s", why->text);
	say_lost(relay, device_spec_name(&relay->device), "it could not be restarted", true);
	device_watch_ask(relay->env->watch);
}

/* No member has an incarnation, so that the watch may bind what the operator listed. */
void relay_await(struct relay *relay, const struct device_spec *device, const struct err *why)
{
	relay->device = *device;
	for (unsigned i = 0; i < device->n_members; i++)
		relay->members[i] = (struct relay_member){.away = true, .watch.logged = *why};
	if (why->text[0] != '\0')
		log_relay_error(relay, "%s; trying again", why->text);
}

/* Reopens the device. A bond is opened with just this member; the others join later. */
static int reopen_device(struct relay *relay, unsigned member, struct err *err)
{
	struct device_spec device = relay->device;

	device.members[0] = device.members[member];
	device.n_members = 1;
	int r = open_device(relay, &device, err);
	if (r < 0)
		return r;
	relay_grant_lanes(relay);
	if (relay->vf->announces)
		guest_announce(relay->guest); /* the member may be another one */
	compare_means(relay);
	return 0;
}

int relay_resume(struct relay *relay, unsigned member, struct err *err)
{
	const struct device_id *id = &relay->device.members[member];
	struct relay_member now = member_now(id);

	int r = relay->vf == NULL ? reopen_device(relay, member, err)
	                          : take_member_in(relay, id, err);
	if (r < 0)
		return r;
	now.watch = relay->members[member].watch;
	relay->members[member] = now;
	log_relay_event(
		relay, "device-resumed", "relay %u: device %s is back", relay->id, id->text);
	return 0;
}

void relay_move(struct relay *relay, enum direction direction, unsigned slice, unsigned worker)
{
	struct lane *lane = relay_lane(relay, direction, slice);

	if (lane->worker < 0 || lane->worker == (int)worker)
		return;
	workers_retract(relay->env->workers, lane);
	workers_grant(relay->env->workers, worker, direction, lane);
}

void relay_tap(struct relay *relay, enum direction direction, struct tap *taps)
{
	for (unsigned i = 0; i < SLICES_MAX; i++)
		atomic_store_explicit(&relay_lane(relay, direction, i)->tap,
			taps != NULL ? &taps[i] : NULL, memory_order_release);
	if (taps == NULL)
		epoch_synchronize(workers_epoch(relay->env->workers), "end a capture");
}
