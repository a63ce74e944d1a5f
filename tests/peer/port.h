/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The DPDK side: starts EAL with the two virtual devices, their ports and packet pools. */

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

struct rte_mempool;

struct ports {
	struct rte_mempool *tx_pool; /* one buffer holds the longest generated frame */
	struct rte_mempool *rx_pool;
	int vm; /* port ids; -1: none */
	int net;
};

/*
 * Starts EAL and both ports. With vm_server it blocks until the relay has connected. Returns 0 or a
 * negative errno; stderr says why. Once per process; ports_close() ends it.
 */
int ports_open(struct ports *ret_ports, const struct options *options);
void ports_close(struct ports *ports);

bool port_is_up(int port);
