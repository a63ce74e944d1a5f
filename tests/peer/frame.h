/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Test frames: Ethernet, IPv4, UDP with right checksums, a tag that says which packet this is, and
 * a payload that follows from the tag. Every byte of a frame follows from its tag and length, so
 * that a receiver that knows neither the sender nor its options finds any alteration.
 */

#include <stdint.h>

#define FRAME_MIN_LEN 60   /* bytes, without FCS */
#define FRAME_MAX_LEN 9014 /* 9000-byte MTU */

enum frame_origin { FRAME_FROM_VM, FRAME_FROM_NET };

struct frame_id {
	enum frame_origin origin;
	uint32_t epoch; /* tells one run of a sender from the next; grows */
	uint16_t flow;
	uint64_t seq; /* within the flow, from 0 */
};

struct rte_mbuf;

/* Fills the tables that the functions below read. Before any other call; not thread-safe. */
void frame_init(void);

/* Writes the frame `id` of `len` bytes (FRAME_MIN_LEN..FRAME_MAX_LEN) to `buf`. */
void frame_write(void *buf, const struct frame_id *id, uint16_t len);

/*
 * Compares a received packet with what its tag says it should be. 0: intact, *ret_id is filled;
 * -EBADMSG: altered, or not a frame of ours. Does not take the packet.
 */
int frame_check(const struct rte_mbuf *packet, struct frame_id *ret_id);
