/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A relay: one device (or bond), one vhost-user socket, and the lanes between them. Each direction
 * has as many slices as device queues and workers allow. Either end may come and go while the other
 * stays.
 *
 * A lane runs on a worker while there is something to poll: vf_to_vm while a device is attached,
 * vm_to_vf while the socket is open. To change an end, all lanes are retracted first and granted
 * again afterwards.
 *
 * A device that goes away by itself is lost, and later resumed: the relay waits for it in between.
 *
 * All functions: control thread. A function that fails leaves the relay as it was.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "config/config.h"
#include "control/op.h"
#include "control/stats.h"
#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/lane/workers.h"
#include "core/vf/vf.h"
#include "host/usable.h"

struct device_watch;
struct placement;

/* Shared by all relays; outlives them. */
struct relay_env {
	const struct config *config;
	struct workers *workers;
	struct placement *placement;
	struct gatekeeper *keeper;  /* serves all sockets */
	struct device_watch *watch; /* looks for devices that are away */
	struct rte_mempool *discard_pool;
	/* Makes the control thread call relay_recall() and relay_follow_guest(). Any thread. */
	void (*wake_control)(void *userdata);
	void *userdata;
	sd_event_source *mapping; /* while enabled, maps memory: relay_map_memory() */
};

/* What the device watch notes about a member; device_watch.c's alone. */
struct member_watch {
	/* Number of the next check whether the VF is dead, from 1; 0: it is not in doubt. */
	unsigned doubt_check;
	/* port_received() at the first of these checks, or when the VF was reopened since. */
	uint64_t received;
	/* While it is away: */
	unsigned tries; /* checks since the first attempt to reopen it, that one included */
	struct host_device_state tried; /* its state at the last check */
	struct err logged;              /* why it is not back, as logged last */
};

/* A PCI function, or a device of another kind, that is attached. */
struct relay_member {
	bool away;
	uint64_t incarnation; /* host_pci_incarnation() when it was opened; 0 for other kinds */
	unsigned link_ups; /* host_vf_link_ups() when it was opened or last doubted; 0 likewise */
	struct member_watch watch;
};

struct relay {
	unsigned id;
	const struct relay_env *env;
	struct device_spec device; /* n_members 0: none */
	bool added;                /* `device`, by an operation, not by the configuration */
	struct vf *vf;             /* NULL with a device: it is away, and the relay waits for it */
	struct relay_member members[BOND_MEMBERS_MAX]; /* of `device`, in the same order */
	/*
	 * The most that the device has been granted since it was attached; all zeros if it has only
	 * been awaited.
	 */
	struct vf_means most;
	struct guest *guest;
	_Atomic bool guest_changed; /* not followed yet; set by the vhost thread or a worker, too */
	char ident[IDENT_SIZE];
	unsigned n_slices; /* 1..SLICES_MAX: lanes in use each way */
	struct vf_to_vm vf_to_vm[SLICES_MAX];
	struct vm_to_vf vm_to_vf[SLICES_MAX];
	unsigned n_sessions_seen; /* of the guest; its memory has been followed since */
	/* What was logged of the guest last; behind the truth while the limits hold lines back. */
	unsigned n_sessions_logged;
	bool ready_logged;
	bool migration_logged;
	unsigned n_faults_logged;
	unsigned n_refused_logged;
	struct log_limit event_limit;
	struct log_limit fault_limit;
	/* guest queues for which the device's RSS table is set up; 0: none */
	unsigned n_spread;
};

void relay_init(struct relay *relay, unsigned id, const struct relay_env *env);

/* Closes the socket and detaches the device. */
void relay_fini(struct relay *relay);

/*
 * Attaches a device; the relay must have none. A PCI function that a kernel driver keeps for the
 * host, or none drives, is bound first if the configuration lists it (host_bind_device()). Blocks
 * while the hardware starts.
 */
int relay_attach(struct relay *relay, const struct device_spec *device, struct err *err);

/*
 * Closes a member that has gone away or must be reopened; `why` is for the log. The relay keeps its
 * device, and the VM its interface. A bond goes on with its remaining members. Does nothing if the
 * member is away already.
 */
void relay_lose(struct relay *relay, unsigned member, const char *why);

/*
 * Gives the relay, which must have none, a device that could not be opened: it is away, like one
 * that was lost. Logs `why`, unless it is empty.
 */
void relay_await(struct relay *relay, const struct device_spec *device, const struct err *why);

/* Reopens a lost member. Blocks while the hardware starts. */
int relay_resume(struct relay *relay, unsigned member, struct err *err);

/* Detaches the device, if there is one. */
void relay_detach(struct relay *relay);

/* Opens the socket; the relay must have none. */
int relay_open_socket(
	struct relay *relay, const char *path, enum socket_mode mode, struct err *err);

/* Closes the socket, if there is one, and logs that its VM is detached, if it was attached. */
void relay_close_socket(struct relay *relay);

static inline bool relay_has_device(const struct relay *relay)
{
	return relay->device.n_members != 0;
}

/* The path of the socket; "" if there is none. */
static inline const char *relay_socket(const struct relay *relay)
{
	return relay->guest != NULL ? relay->guest->path : "";
}

/*
 * Moves a slice (0..n_slices-1) of a direction to a worker, without loss or reordering. Does
 * nothing if the slice runs on no worker.
 */
void relay_move(struct relay *relay, enum direction direction, unsigned slice, unsigned worker);

/*
 * With zero copy: if the device still uses memory of a VM that has gone or is about to go, makes it
 * let go of that memory, which may take the restart of the device. To be called for all relays
 * before relay_follow_guest() for any of them: that may take seconds, and the memory stays pinned
 * until this has been done.
 */
void relay_recall(struct relay *relay);

/*
 * Maps a part of the VM's memory for the device, if packets are sent without a copy. Returns false
 * if there is nothing to do.
 */
bool relay_map_memory(struct relay *relay);

/*
 * Reacts to what the guest did since the last call, if it did anything: logs it, moves lanes and
 * packet pool to the VM's NUMA node, spreads the device's flows over the guest's queues, and wakes
 * the workers that run the relay's lanes. A guest can cause that as often as it likes, so it must
 * not be called for each change.
 */
void relay_follow_guest(struct relay *relay);

/*
 * To be called once a second, and when the link of a member has changed (vf_follow_links()). If a
 * bond of mode 1 has another member than before, its VM is announced there (RARP).
 */
void relay_follow_links(struct relay *relay);

/*
 * Logs how the VM's state differs from what was logged last. Lines that are too many are held back,
 * since a VM can cause as many as it likes. To be called now and then, so that the log ends in the
 * true state.
 */
void relay_log_guest(struct relay *relay);

/*
 * Sets a tap (tap.h) on each slice of a direction, or removes them (NULL). When removal returns, no
 * worker uses the former taps any more.
 */
void relay_tap(struct relay *relay, enum direction direction, struct tap *taps);

void relay_read_stats(const struct relay *relay, struct relay_stats *ret_stats);
