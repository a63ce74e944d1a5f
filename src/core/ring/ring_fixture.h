/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The driver's side of a virtqueue in a piece of memory, for tests of the device's side. It shares
 * no code with the code under test.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/ring/ring.h"

/* What is where in the guest's memory. Each descriptor has a buffer and a table of its own. */
#define GUEST_GPA 0x100000ULL
#define GUEST_BYTES 0x180000U
#define AT_DESC 0x0
#define AT_AVAIL 0x10000
#define AT_USED 0x20000
#define AT_TABLES 0x40000
#define AT_BUFFERS 0x80000
#define BUFFER_BYTES 4096
#define TABLE_ENTRIES 16

struct driver {
	uint8_t *memory; /* GUEST_BYTES of it */
	uint64_t gpa;    /* the guest physical address of that */
	uint16_t size;   /* 256 at most */
	bool packed;
	bool indirect;   /* offer buffers of several pieces by an indirect table */
	bool in_order;   /* packed: one used descriptor may stand for a burst */
	uint16_t next;   /* the next descriptor */
	bool wrap;       /* packed */
	uint16_t avail;  /* split: the available index */
	uint16_t n_free; /* descriptors */
	uint16_t used;   /* split: the used index seen; packed: the descriptor to be used next */
	bool used_wrap;  /* packed */
	bool in_burst;   /* packed: the used buffers up to this one are known */
	uint16_t burst_id;
	uint16_t slots[256]; /* descriptors of each buffer that is out, by its id */
};

void driver_init(struct driver *driver, uint8_t *memory, uint16_t size, bool packed);

/* The device's ring for it, in `memory` of one region. */
void driver_ring(const struct driver *driver, const struct guest_memory *memory, struct ring *ring);

/* Guest memory of one region. */
struct guest_memory one_region(uint8_t *memory);

/* The buffer that will be offered next. */
uint8_t *driver_buffer(const struct driver *driver);

/* Offers the next buffer in `n` pieces. False if there are too few descriptors. */
bool driver_offer(struct driver *driver, const uint32_t *piece_bytes, unsigned n, bool writable);

/* Takes the next used buffer; tells where it is and how much was written to it. */
bool driver_take_used(struct driver *driver, uint8_t **ret_buffer, uint32_t *ret_bytes);
