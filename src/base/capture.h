/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the daemon and a capturing client say to each other.
 *
 * Over a stream socket the client sends one struct capture_request and gets one struct
 * capture_answer. If its code is 0, the descriptor (SCM_RIGHTS) of a struct capture_memory comes
 * with it, which both sides map. The capture lasts as long as the connection.
 *
 * In this memory each slice of a direction has a ring of bytes, written by the worker that runs the
 * slice and read by the client. A record is a struct capture_record and the packet's bytes, padded
 * to a multiple of 8. Position p in the stream of records is data[p modulo CAPTURE_RING_BYTES].
 */

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/direction.h"
#include "base/err.h"
#include "base/limits.h"

#define CAPTURE_VERSION 2
#define CAPTURE_SNAPLEN_MAX 65535
#define CAPTURE_RING_BYTES (2u << 20) /* a power of two */
#define CAPTURE_RECORD_ALIGN 8u
#define CAPTURE_PAGE_BYTES 65536 /* the largest pages of any kernel */

struct capture_request {
	uint32_t version; /* CAPTURE_VERSION */
	uint32_t relay;
	uint32_t directions; /* bit d: direction d */
	uint32_t snaplen;    /* bytes to keep of a packet, 1..CAPTURE_SNAPLEN_MAX */
};

struct capture_answer {
	int32_t code; /* 0, or a positive errno; text says why */
	char text[ERR_TEXT_SIZE];
};

struct capture_ring {
	_Atomic uint64_t head; /* bytes written so far; written by the daemon */
	_Atomic uint64_t lost; /* packets that found no room; written by the daemon */
	char apart[48];        /* keeps the two sides' cache lines apart */
	_Atomic uint64_t tail; /* bytes read so far; written by the client */
	char more[56];
	uint8_t data[CAPTURE_RING_BYTES];
};

struct capture_rings {
	struct capture_ring slices[SLICES_MAX];
	/* Each direction is mapped alone. */
	char to_page[CAPTURE_PAGE_BYTES - SLICES_MAX * offsetof(struct capture_ring, data)];
};

static_assert(sizeof(struct capture_rings) % CAPTURE_PAGE_BYTES == 0, "it fills whole pages");

struct capture_memory {
	struct capture_rings directions[DIRECTIONS_N]; /* only those asked for have memory */
};

struct capture_record {
	uint64_t time_ns; /* CLOCK_REALTIME */
	uint32_t length;  /* of the whole packet */
	uint32_t kept;    /* bytes of the packet that follow */
};

/* The bytes that a record takes in the ring. */
static inline uint64_t capture_record_bytes(uint32_t kept)
{
	return (sizeof(struct capture_record) + (uint64_t)kept + CAPTURE_RECORD_ALIGN - 1) &
	       ~(uint64_t)(CAPTURE_RECORD_ALIGN - 1);
}
