/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The root object: the relays, and the one function by which they are changed.
 *
 * All functions: control thread.
 */

#include <systemd/sd-event.h>

#include "base/device_counters.h"
#include "config/config.h"
#include "control/op.h"
#include "control/stats.h"
#include "core/workers.h"

struct forwarder;

/*
 * Starts the workers, opens the static sockets and attaches the static devices; DPDK has been
 * started. `config` must outlive the forwarder. All or nothing.
 */
int forwarder_new(struct forwarder **ret_forwarder, const struct config *config, sd_event *event,
	struct err *err);

/* Detaches every VM and device and ends the workers. Returns NULL. */
struct forwarder *forwarder_free(struct forwarder *forwarder);

/*
 * Does the operation as a whole or changes nothing, and says why in *ret_result. May block while
 * hardware starts or stops.
 */
void forwarder_apply(
	struct forwarder *forwarder, const struct op *op, struct op_result *ret_result);

/* Fills in all relays and workers. */
void forwarder_snapshot(struct forwarder *forwarder, struct stats_view *ret_view);

/*
 * Asks the devices of the relays, for a turn (turn.h), and fills in what each of them has said
 * last, by relay id. Those for which no time was left come first the next time.
 */
void forwarder_read_devices(
	struct forwarder *forwarder, struct device_counters ret_counters[static RELAYS_MAX]);

/*
 * Moves the two directions of a relay, or the slices of them, to the workers on these CPUs, without
 * loss. What has nothing to do stays where it is: nowhere.
 */
void forwarder_move(struct forwarder *forwarder, const struct core_move *move);

/* Captures a direction of a relay, or ends that (NULL), as relay_tap() does. */
void forwarder_tap(
	struct forwarder *forwarder, unsigned relay_id, enum direction direction, struct tap *taps);

/* Fills in the CPUs of the workers. */
void forwarder_worker_cpus(struct forwarder *forwarder, struct cpu_set *ret_cpus);
