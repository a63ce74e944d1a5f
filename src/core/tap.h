/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A tap on a lane: copies the packets that pass into a ring of base/capture.h. It never waits: a
 * packet that finds no room is counted and not copied. Of what the client can write it reads
 * nothing but the client's position, and that may be anything.
 *
 * A tap belongs to the worker whose lane it is on.
 */

#include <stdint.h>

struct capture_ring;
struct rte_mbuf;

struct tap {
	struct capture_ring *ring;
	uint64_t head; /* what the ring says of these two is for the client */
	uint64_t lost;
	uint32_t snaplen;
};

/* `n` is not 0. */
void tap_packets(struct tap *tap, struct rte_mbuf *const *packets, uint16_t n);
