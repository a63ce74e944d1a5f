/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Test frames: Ethernet, IPv4 and UDP with correct checksums, a tag that identifies the packet, and
 * a payload that follows from the tag. Every byte of a frame follows from its tag and length, so a
 * receiver detects any alteration without knowing the sender or its options.
 */

#include <stdint.h>

#define FRAME_MIN_LEN 60   /* bytes, without FCS */
#define FRAME_MAX_LEN 9014 /* 9000-byte MTU */

enum frame_origin { FRAME_FROM_VM, FRAME_FROM_NET };

struct frame_id {
	enum frame_origin origin;
	uint32_t epoch; /* identifies a run of the sender; grows */
	uint16_t flow;
	uint64_t seq; /* within the flow, from 0 */
};

struct rte_mbuf;

/* Fills the tables that the functions below read. Must be called before them; not thread-safe. */
void frame_init(void);

/* Writes the frame `id` of `len` bytes (FRAME_MIN_LEN..FRAME_MAX_LEN) to `buf`. */
void frame_write(void *buf, const struct frame_id *id, uint16_t len);

/*
 * Compares a received packet with what its tag says it should be. Returns 0 if it is intact, with
 * *ret_id filled in; -EBADMSG if it is altered or not a frame of ours. The caller keeps the packet.
 */
int frame_check(const struct rte_mbuf *packet, struct frame_id *ret_id);
