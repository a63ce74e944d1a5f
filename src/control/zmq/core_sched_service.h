/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The core scheduler endpoint: tells which CPUs run workers, and moves relays among them. Control
 * thread.
 */

#include "base/cpu_set.h"
#include "control/zmq/zmq_service.h"
#include "wire/core_sched_codec.h"

struct core_sched_service;

struct core_sched_callbacks {
	/* Moves the relays; no relay is named twice, and every CPU runs a worker. */
	void (*move)(void *userdata, const struct core_move *moves, unsigned n);
	void (*worker_cpus)(void *userdata, struct cpu_set *ret_cpus);
};

/* `callbacks` is copied. */
int core_sched_service_new(struct core_sched_service **ret_service,
	const struct zmq_endpoint *endpoint, const struct core_sched_callbacks *callbacks,
	void *userdata, struct err *err);

struct core_sched_service *core_sched_service_free(struct core_sched_service *service);
