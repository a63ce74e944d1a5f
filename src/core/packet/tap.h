/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A tap on a lane: copies passing packets into a ring of base/capture.h. It never waits: a packet
 * that finds no room is counted and not copied. Of what the client can write it reads only the
 * client's position, which may be anything.
 *
 * A tap belongs to the worker that owns the lane.
 */

#include <stdint.h>

struct capture_ring;
struct rte_mbuf;

struct tap {
	struct capture_ring *ring;
	uint64_t head; /* the ring's copies of these two are for the client only */
	uint64_t lost;
	uint32_t snaplen;
};

/* `n` is not 0. */
void tap_packets(struct tap *tap, struct rte_mbuf *const *packets, uint16_t n);
