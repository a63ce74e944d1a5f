/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One direction through the relay: the sender at one of our ports and the checker at another, or
 * just one of them if the other is in another process. All of it in one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "latency.h"
#include "options.h"
#include "port.h"
#include "track.h"

#define STREAM_BURST 32

struct rte_mbuf;

/* Packets generated but not yet taken by the port; kept in order. */
struct stream_queue {
	struct rte_mbuf *packets[STREAM_BURST];
	unsigned first;
	unsigned count;
	unsigned next_flow; /* of those with flow % queues == this queue */
};

struct stream {
	const char *name;
	const struct options *options;
	struct rte_mempool *pool;
	enum frame_origin origin; /* the origin in its frames */

	int from; /* port of the sender, -1: elsewhere */
	bool sending;
	uint32_t epoch;          /* of the sender; also when the checker began */
	uint64_t seq[MAX_FLOWS]; /* of the next packet */
	struct stream_queue queues[MAX_QUEUES];
	uint64_t made;
	uint64_t sent; /* taken by the port */
	uint64_t sent_bytes;

	int to;                /* port of the checker, -1: elsewhere */
	uint32_t newest_epoch; /* of a sender seen */
	unsigned senders;      /* epochs seen */
	struct track tracks[MAX_FLOWS];
	struct track_counts counts;
	uint64_t received; /* all, duplicates and altered ones too */
	uint64_t received_bytes;
	uint64_t altered;
	uint64_t most_under_way; /* highest sent - received seen by stream_receive() */

	struct latency *latency; /* NULL: not measured */

	uint64_t begin_tsc; /* of the first packet sent or received */
	uint64_t last_tsc;  /* of the last */
	uint64_t wait_tsc;  /* silence counts from here on at the earliest */
	uint64_t stop_tsc;  /* when stream_stop() was called, or 0 */
};

/*
 * Allocates a stream whose ports are not set (-1); `options` and `pool` are borrowed. NULL: no
 * memory.
 */
struct stream *stream_new(const char *name, enum frame_origin origin, const struct options *options,
	struct rte_mempool *pool);
/* Frees packets not sent. Returns NULL; NULL is allowed. */
struct stream *stream_free(struct stream *stream);

/*
 * Sends what the port takes now, at most one burst per queue. Returns the number of packets sent.
 */
unsigned stream_send(struct stream *stream, uint64_t now_tsc);

/* Receives and checks what is there, at most one burst per queue. Returns the number of packets. */
unsigned stream_receive(struct stream *stream, uint64_t now_tsc);

/*
 * Sends nothing beyond what it has generated, and waits for what is under way, for a bounded time.
 */
void stream_stop(struct stream *stream, uint64_t now_tsc);

/*
 * True if there is nothing to wait for: everything was sent and has arrived, or nothing has moved
 * for the options' drain time. A sender elsewhere does not stop when we do; it is listened to for
 * that time only.
 */
bool stream_is_done(const struct stream *stream, uint64_t now_tsc);

/*
 * Packets that were sent and have not arrived; if it is not known what was sent, sequence numbers
 * passed over.
 */
uint64_t stream_lost(const struct stream *stream);
bool stream_has_fault(const struct stream *stream);

/* Prints its results as one JSON member, `"name": {…}`. */
void stream_print(struct stream *stream);
