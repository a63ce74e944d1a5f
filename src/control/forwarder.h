/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The root object: the relays, and the one function that changes them.
 *
 * All functions: control thread.
 */

#include <systemd/sd-event.h>

#include "base/device_counters.h"
#include "config/config.h"
#include "control/op.h"
#include "control/stats.h"
#include "core/lane/workers.h"

struct forwarder;

/* The memory for packets that forwarder_new() will need, about. May be called before eal_start().
 */
uint64_t forwarder_memory_bytes(const struct config *config);

/*
 * Starts the workers, opens the static sockets and attaches the static devices. DPDK must have been
 * initialized. `config` must outlive the forwarder. All or nothing, except that static devices that
 * cannot be opened are logged and waited for, unless all of them fail. Those that have not been
 * tried after a minute have not failed. -ECANCELED: SIGTERM or SIGINT, which must be blocked, has
 * come meanwhile.
 */
int forwarder_new(struct forwarder **ret_forwarder, const struct config *config, sd_event *event,
	struct err *err);

/* Detaches all VMs and devices and stops the workers. Returns NULL. */
struct forwarder *forwarder_free(struct forwarder *forwarder);

/*
 * Does the operation as a whole or changes nothing, except that devices which were bound to
 * vfio-pci for it stay so; *ret_result, which comes zeroed, says why. May block while hardware
 * starts or stops.
 */
void forwarder_apply(
	struct forwarder *forwarder, const struct op *op, struct op_result *ret_result);

/*
 * Fills in the operations that would add the relays that operations have added and none has
 * removed, in the order of their ids, which are in the ops in either case. Returns their number.
 */
unsigned forwarder_additions(
	const struct forwarder *forwarder, struct op ret_ops[static RELAYS_MAX]);

/*
 * Does what forwarder_additions() of an earlier run has returned, before the event loop runs. A
 * device that cannot be opened, or has not been tried after a minute, is waited for. An operation
 * that fails for another reason is logged. Returns the number of those; or -ECANCELED: SIGTERM or
 * SIGINT, which must be blocked, has come meanwhile.
 */
int forwarder_restore(
	struct forwarder *forwarder, const struct op *ops, unsigned n, struct err *err);

/* Fills in the statistics of all relays and workers. */
void forwarder_snapshot(struct forwarder *forwarder, struct stats_view *ret_view);

/*
 * Reads counters from the relays' devices for the length of one turn (turn.h), and fills in the
 * latest known counters of each device, by relay id. Devices that did not get their turn come first
 * next time.
 */
void forwarder_read_devices(
	struct forwarder *forwarder, struct device_counters ret_counters[static RELAYS_MAX]);

/*
 * Moves both directions of a relay, or their slices, to the workers on these CPUs, without loss. A
 * lane that runs on no worker stays where it is.
 */
void forwarder_move(struct forwarder *forwarder, const struct core_move *move);

/* Starts to capture a direction of a relay, or ends it (NULL); see relay_tap(). */
void forwarder_tap(
	struct forwarder *forwarder, unsigned relay_id, enum direction direction, struct tap *taps);

/* Fills in the CPUs of the workers. */
void forwarder_worker_cpus(struct forwarder *forwarder, struct cpu_set *ret_cpus);
