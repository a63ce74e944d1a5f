/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. While the file named by STUCK exists,
 * its net_null devices send nothing but keep the packets until they are stopped, as a card without
 * a link may. While there is a file of that name with ".dead" behind it, the driver reports that
 * they could not be stopped.
 */

#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transmit.h"

#define HELD_MAX 256 /* the descriptors of a small card */

static struct {
	struct rte_mbuf *packets[HELD_MAX];
	uint16_t n;
} held; /* of all such devices */

uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	if (access(getenv("STUCK"), F_OK) != 0) {
		rte_pktmbuf_free_bulk(packets, n);
		return n;
	}
	n = RTE_MIN(n, HELD_MAX - held.n);
	memcpy(&held.packets[held.n], packets, n * sizeof(packets[0]));
	held.n += n;
	return n;
}

int rte_eth_dev_stop(uint16_t port)
{
	static int (*real)(uint16_t port);
	char path[4096];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_stop");
	int r = real(port);
	rte_pktmbuf_free_bulk(held.packets, held.n);
	held.n = 0;
	snprintf(path, sizeof(path), "%s.dead", getenv("STUCK"));
	return access(path, F_OK) == 0 ? -EIO : r;
}
