/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. While the file named by STUCK exists,
 * its net_null devices send nothing but keep the packets until they are stopped, as a card without
 * a link may. While there is a file of that name with ".dead" behind it, the driver reports that
 * they could not be stopped; with ".slow", stopping one takes 0.3 s.
 */

#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transmit.h"

#define HELD_MAX 256 /* the descriptors of a small card */

struct held {
	struct rte_mbuf *packets[HELD_MAX];
	uint16_t n;
};

static struct held held_by[RTE_MAX_ETHPORTS];

/* The devices have one queue each. */
static struct held *held_in(const void *queue)
{
	uint16_t port = 0;

	while (rte_eth_fp_ops[port].txq.data == NULL || rte_eth_fp_ops[port].txq.data[0] != queue)
		port++;
	return &held_by[port];
}

static bool is_there(const char *suffix)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s", getenv("STUCK"), suffix);
	return access(path, F_OK) == 0;
}

uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	if (!is_there("")) {
		rte_pktmbuf_free_bulk(packets, n);
		return n;
	}
	struct held *held = held_in(queue);
	n = RTE_MIN(n, HELD_MAX - held->n);
	memcpy(&held->packets[held->n], packets, n * sizeof(packets[0]));
	held->n += n;
	return n;
}

int rte_eth_dev_stop(uint16_t port)
{
	static int (*real)(uint16_t port);
	struct held *held = &held_by[port];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_stop");
	int r = real(port);
	rte_pktmbuf_free_bulk(held->packets, held->n);
	held->n = 0;
	if (is_there(".slow"))
		usleep(300000);
	return is_there(".dead") ? -EIO : r;
}
