/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A relay: one device (or bond) and one vhost-user socket, and the lanes between them, each
 * direction in as many slices as device queues and workers allow. Either end may come and go while
 * the other stays.
 *
 * A lane runs on a worker while there is something to poll: vf_to_vm while a device is attached,
 * vm_to_vf while the socket is open. To change an end, all lanes are retracted first and granted
 * again afterwards.
 *
 * A device that goes away by itself is lost and resumed: the relay waits for it.
 *
 * All functions: control thread. What fails leaves the relay as it was.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "config/config.h"
#include "control/op.h"
#include "control/stats.h"
#include "core/guest.h"
#include "core/lane.h"
#include "core/vf.h"
#include "core/workers.h"

struct placement;

/* What all relays share; outlives them. */
struct relay_env {
	const struct config *config;
	struct workers *workers;
	struct placement *placement;
	struct gatekeeper *keeper; /* of all sockets */
	struct rte_mempool *discard_pool;
	void (*guest_changed)(void *userdata); /* from the vhost thread or a worker */
	void *userdata;
	sd_event_source *mapping; /* while enabled, calls relay_map_memory() for each in turn */
};

/* A PCI function, or a device of another kind, as it was attached. */
struct relay_member {
	bool away;
	uint64_t incarnation; /* host_pci_incarnation() of when it was there; 0 for other kinds */
	unsigned link_ups;    /* host_vf_link_ups() of when it was opened or doubted; the same */
	unsigned looks;    /* the next look at whether it is dead, from 1; 0: it is not doubted */
	uint64_t received; /* vf_received() of the first look, or of when it was opened since */
	/* Of one that is away, the device watch's: */
	unsigned tries; /* looks at it since it was first tried in vain, and that one; 0: it was not
	                 */
	uint64_t tried_incarnation; /* what it was then, */
	int tried_driver;           /* and the kind of driver it had (enum host_driver_kind) */
	struct err told;            /* why it is not back, as last logged */
};

struct relay {
	unsigned id;
	const struct relay_env *env;
	struct op_device device; /* n_members 0: none */
	struct vf *vf;           /* NULL, with a device: it is away and awaited */
	struct relay_member members[BOND_MEMBERS_MAX]; /* of the device, in its order */
	struct guest *guest;
	char ident[IDENT_SIZE];
	unsigned n_slices; /* 1..SLICES_MAX: lanes in use each way */
	struct vf_to_vm vf_to_vm[SLICES_MAX];
	struct vm_to_vf vm_to_vf[SLICES_MAX];
	unsigned n_sessions_seen; /* of the guest, for what is logged */
	unsigned n_faults_seen;
	struct log_limit fault_limit;
	bool ready_seen;
	bool migration_seen;
	unsigned n_spread; /* guest queues for which the device's RSS table is laid out, 0 for none
	                    */
};

void relay_init(struct relay *relay, unsigned id, const struct relay_env *env);

/* Takes both ends away. */
void relay_fini(struct relay *relay);

/* The relay must have no device. Blocks while the hardware starts. */
int relay_attach(struct relay *relay, const struct op_device *device, struct err *err);

/*
 * Takes out a member that is away now, or must be opened anew: the VM keeps its interface, and the
 * relay its device. A bond goes on with the members it has left. Does nothing for one that is away
 * already.
 */
void relay_lose(struct relay *relay, unsigned member);

/* Takes a member that was lost in again. Blocks while the hardware starts. */
int relay_resume(struct relay *relay, unsigned member, struct err *err);

/* Does nothing without a device. */
void relay_detach(struct relay *relay);

/* The relay must have no socket. */
int relay_open_socket(
	struct relay *relay, const char *path, enum socket_mode mode, struct err *err);

/* Does nothing without a socket. */
void relay_close_socket(struct relay *relay);

static inline bool relay_has_device(const struct relay *relay)
{
	return relay->device.n_members != 0;
}

/* The path of its socket, "" without one. */
const char *relay_socket(const struct relay *relay);

/*
 * Moves a slice (0..n_slices-1) of a direction to a worker, without loss or reordering. Does
 * nothing where it does not run.
 */
void relay_move(struct relay *relay, enum direction direction, unsigned slice, unsigned worker);

/*
 * Has the device let go of memory of a VM that is to go or has gone, where it kept it. Of all
 * relays, before any of them follows its guest.
 */
void relay_recall(struct relay *relay);

/*
 * Maps a part of the VM's memory for the device, where packets are sent without a copy. False where
 * there is nothing to do.
 */
bool relay_map_memory(struct relay *relay);

/* Follows what the guest did since the last call: tells it, and spreads the device's flows anew. */
void relay_follow_guest(struct relay *relay);

/*
 * Puts a tap (tap.h) on each slice of a direction, or takes them away (NULL): on return no worker
 * uses those that were there.
 */
void relay_tap(struct relay *relay, enum direction direction, struct tap *taps);

void relay_read_stats(const struct relay *relay, struct relay_stats *ret_stats);
