/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One direction of the benchmark's load: what the sources of packets shall send, and what sources
 * and sinks have counted. It is a file that three processes map: the driver (bench.py) writes the
 * orders; the VM and the device inside the relay are source and sink, or vice versa.
 *
 * Each counter has one writer. All times are TSC cycles, which are the same on all CPUs.
 */

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOAD_QUEUES 4     /* queues of a port */
#define LOAD_SLOTS 1024   /* ports * LOAD_QUEUES */
#define LOAD_SIZES 12     /* entries of the mix of sizes */
#define LOAD_WAITING 1024 /* packets that wait for the relay at most, like a device's ring */

/* Buckets of nanoseconds: 32 steps for each power of two. */
#define LATENCY_STEPS 32
#define LATENCY_BUCKETS (40 * LATENCY_STEPS)

struct load_count {
	uint64_t packets;
	uint64_t bytes;
	uint64_t missed; /* by a source: not sent in time because the relay was late */
	uint64_t reserved[5];
};

struct load {
	/* Orders: written by the driver, `generation` last. */
	uint32_t size_bytes; /* of this struct: both sides must agree */
	uint32_t n_sizes;
	uint16_t sizes[LOAD_SIZES]; /* frame bytes, in turn */
	uint32_t flows;             /* UDP source ports, in turn */
	uint32_t probe_every;       /* one packet in so many is timed; 0: none */
	double pps;                 /* of each source; 0: as fast as it goes */
	uint32_t on;
	_Atomic uint32_t generation; /* another one restarts the clocks of the sources */
	uint32_t stalled;            /* queues that the VM does not read, a bit each */
	uint32_t written;            /* sources write whole packets, not only their headers */
	uint32_t read;               /* sinks read whole packets */
	uint32_t reserved[13];

	struct load_count sent[LOAD_SLOTS];
	struct load_count received[LOAD_SLOTS];
	uint64_t latency[LATENCY_BUCKETS]; /* of probes; all sinks are polled by one thread */
};

/* Of one queue. */
struct load_source {
	struct load *load;
	struct load_count *count;
	uint32_t generation;
	uint32_t next_flow;
	uint32_t next_size;
	uint32_t until_probe;
	uint64_t start_tsc;
	uint64_t due; /* packets that were due: sent or missed */
	double cycles_per_packet;
};

/* Maps a file of the driver's; NULL after printing a message if that fails. */
struct load *load_open(const char *path);

/* slot: port * LOAD_QUEUES + queue */
void load_source_init(struct load_source *source, struct load *load, unsigned slot);

/* How many packets are due, `max` at most. */
uint16_t load_due(struct load_source *source, uint16_t max);

/* Writes the next due packets into empty buffers. */
void load_fill(struct load_source *source, struct rte_mbuf **packets, uint16_t n);

/* Counts what has arrived, and times the probes in it. `slot`: as above. */
void load_receive(struct load *load, unsigned slot, struct rte_mbuf **packets, uint16_t n);
