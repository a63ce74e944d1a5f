/* SPDX-License-Identifier: BSD-3-Clause */

#include "stream.h"

#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DUPLICATE_WAIT_MS 20 /* how long to wait for duplicates after the last packet */

/* Milliseconds since boot, so a later sender has a higher one. */
static uint32_t new_epoch(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

struct stream *stream_new(const char *name, enum frame_origin origin, const struct options *options,
	struct rte_mempool *pool)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->name = name;
	stream->options = options;
	stream->pool = pool;
	stream->origin = origin;
	stream->epoch = new_epoch();
	stream->from = -1;
	stream->to = -1;
	if (options->latency)
		stream->latency = calloc(1, sizeof(*stream->latency));
	for (unsigned q = 0; q < options->queues; q++)
		stream->queues[q].next_flow = q;
	return stream;
}

struct stream *stream_free(struct stream *stream)
{
	if (!stream)
		return NULL;
	for (unsigned q = 0; q < MAX_QUEUES; q++) {
		struct stream_queue *queue = &stream->queues[q];

		rte_pktmbuf_free_bulk(&queue->packets[queue->first], queue->count);
	}
	free(stream->latency);
	free(stream);
	return NULL;
}

/* The length of frame `seq` of a flow in bytes: the same mix in each run. */
static uint16_t frame_length(const struct options *o, unsigned flow, uint64_t seq)
{
	uint32_t random = (uint32_t)((seq * MAX_FLOWS + flow) * 0x9e3779b97f4a7c15 >> 32);

	switch (o->sizes) {
	case SIZES_FIXED:
		break;
	case SIZES_RANDOM:
		return FRAME_MIN_LEN + random % (o->size_bytes - FRAME_MIN_LEN + 1);
	case SIZES_IMIX: /* 7 : 4 : 1 */
		random %= 12;
		return random < 7 ? FRAME_MIN_LEN : random < 11 ? 570 : 1514;
	}
	return o->size_bytes;
}

/* How many packets may be generated now, of at most `want`. */
static unsigned allowance(const struct stream *stream, unsigned want, uint64_t now_tsc)
{
	const struct options *o = stream->options;

	if (o->count)
		want = (unsigned)RTE_MIN((uint64_t)want, o->count - stream->made);
	if (o->rate_pps && stream->begin_tsc) {
		double seconds = (double)(now_tsc - stream->begin_tsc) / (double)rte_get_tsc_hz();
		uint64_t due = (uint64_t)(seconds * (double)o->rate_pps) + 1;

		want = due > stream->made ? (unsigned)RTE_MIN((uint64_t)want, due - stream->made)
		                          : 0;
	}
	return want;
}

static void fill(struct stream *stream, struct stream_queue *queue, uint64_t now_tsc)
{
	const struct options *o = stream->options;
	unsigned count = allowance(stream, STREAM_BURST, now_tsc);

	if (!count || rte_pktmbuf_alloc_bulk(stream->pool, queue->packets, count))
		return;
	queue->first = 0;
	queue->count = count;
	stream->made += count;
	for (unsigned i = 0; i < count; i++) {
		unsigned flow = queue->next_flow;
		struct frame_id id = {
			.origin = stream->origin,
			.epoch = stream->epoch,
			.flow = (uint16_t)flow,
			.seq = stream->seq[flow]++,
		};
		uint16_t len = frame_length(o, flow, id.seq);

		frame_write(rte_pktmbuf_append(queue->packets[i], len), &id, len);
		if (stream->latency)
			latency_sent(stream->latency, flow, id.seq, rte_rdtsc());
		queue->next_flow =
			flow + o->queues < o->flows ? flow + o->queues : flow % o->queues;
	}
}

unsigned stream_send(struct stream *stream, uint64_t now_tsc)
{
	unsigned total = 0;

	for (uint16_t q = 0; q < stream->options->queues; q++) {
		struct stream_queue *queue = &stream->queues[q];
		struct rte_mbuf **packets = &queue->packets[0];
		uint64_t before[STREAM_BURST + 1] = {0};
		uint16_t taken;

		if (!queue->count && stream->sending)
			fill(stream, queue, now_tsc);
		if (!queue->count)
			continue;
		packets += queue->first;
		for (unsigned i = 0; i < queue->count; i++)
			before[i + 1] = before[i] + rte_pktmbuf_pkt_len(packets[i]);
		taken = rte_eth_tx_burst(
			(uint16_t)stream->from, q, packets, (uint16_t)queue->count);
		queue->first += taken;
		queue->count -= taken;
		stream->sent_bytes += before[taken];
		total += taken;
	}
	if (total) {
		stream->sent += total;
		stream->last_tsc = now_tsc;
		if (!stream->begin_tsc)
			stream->begin_tsc = now_tsc;
	}
	return total;
}

static void note(struct stream *stream, const struct frame_id *id)
{
	if (!stream->senders || epoch_is_newer(id->epoch, stream->newest_epoch)) {
		stream->newest_epoch = id->epoch;
		stream->senders++;
	}
	track_note(&stream->tracks[id->flow], &stream->counts, id->epoch, id->seq,
		epoch_is_newer(stream->epoch, id->epoch));
	if (stream->latency && id->epoch == stream->epoch)
		latency_received(stream->latency, id->flow, id->seq, rte_rdtsc());
}

static void check(struct stream *stream, const struct rte_mbuf *packet)
{
	struct frame_id id;

	stream->received_bytes += rte_pktmbuf_pkt_len(packet);
	if (frame_check(packet, &id) || id.origin != stream->origin || id.flow >= MAX_FLOWS)
		stream->altered++;
	else
		note(stream, &id);
}

unsigned stream_receive(struct stream *stream, uint64_t now_tsc)
{
	unsigned total = 0;

	for (uint16_t q = 0; q < stream->options->queues; q++) {
		struct rte_mbuf *packets[STREAM_BURST];
		uint16_t count = rte_eth_rx_burst((uint16_t)stream->to, q, packets, STREAM_BURST);

		for (uint16_t i = 0; i < count; i++)
			check(stream, packets[i]);
		rte_pktmbuf_free_bulk(packets, count);
		total += count;
	}
	if (!total)
		return 0;
	if (stream->sent > stream->received)
		stream->most_under_way =
			RTE_MAX(stream->most_under_way, stream->sent - stream->received);
	stream->received += total;
	stream->last_tsc = now_tsc;
	if (!stream->begin_tsc)
		stream->begin_tsc = now_tsc;
	return total;
}

void stream_stop(struct stream *stream, uint64_t now_tsc)
{
	stream->sending = false;
	stream->stop_tsc = now_tsc;
	stream->wait_tsc = now_tsc;
}

static bool over(uint64_t since_tsc, unsigned ms, uint64_t now_tsc)
{
	return now_tsc > since_tsc + ms * (rte_get_tsc_hz() / 1000);
}

static bool has_unsent(const struct stream *stream)
{
	if (stream->sending && (!stream->options->count || stream->made < stream->options->count))
		return true;
	return stream->sent < stream->made;
}

bool stream_is_done(const struct stream *stream, uint64_t now_tsc)
{
	uint64_t quiet_since = RTE_MAX(stream->last_tsc, stream->wait_tsc);
	unsigned drain_ms = stream->options->drain_ms;
	bool stuck = over(quiet_since, drain_ms, now_tsc);

	if (stream->from >= 0 && has_unsent(stream))
		return stuck && !stream->options->rate_pps;
	if (stream->to < 0)
		return true;
	if (stream->from >= 0 && stream->received >= stream->sent)
		return over(quiet_since, DUPLICATE_WAIT_MS, now_tsc);
	if (stream->from < 0 && stream->stop_tsc)
		return stuck || over(stream->stop_tsc, drain_ms, now_tsc);
	return stuck;
}

uint64_t stream_lost(const struct stream *stream)
{
	uint64_t arrived = stream->counts.received + stream->altered;

	if (stream->to < 0)
		return 0;
	if (stream->from < 0)
		return stream->counts.missing;
	return stream->sent > arrived ? stream->sent - arrived : 0;
}

bool stream_has_fault(const struct stream *stream)
{
	bool unfinished = stream->from >= 0 && stream->sent < stream->made;

	return unfinished || stream_lost(stream) || stream->altered || stream->counts.reordered ||
	       stream->counts.duplicated;
}

void stream_print(struct stream *stream)
{
	double seconds = (double)(stream->last_tsc - stream->begin_tsc) / (double)rte_get_tsc_hz();
	uint64_t moved = stream->to >= 0 ? stream->received : stream->sent;

	printf("\"%s\": {", stream->name);
	if (stream->from >= 0)
		printf("\"sent\": %" PRIu64 ", \"sent_bytes\": %" PRIu64 ", ", stream->sent,
			stream->sent_bytes);
	if (stream->to >= 0)
		printf("\"received\": %" PRIu64 ", \"received_bytes\": %" PRIu64
		       ", \"lost\": %" PRIu64 ", \"reordered\": %" PRIu64
		       ", \"duplicated\": %" PRIu64 ", \"altered\": %" PRIu64
		       ", \"most_under_way\": %" PRIu64 ", ",
			stream->received, stream->received_bytes, stream_lost(stream),
			stream->counts.reordered, stream->counts.duplicated, stream->altered,
			stream->most_under_way);
	if (stream->latency) {
		printf("\"latency_us\": ");
		latency_print(stream->latency);
		printf(", ");
	}
	printf("\"seconds\": %.3f, \"mpps\": %.3f}", seconds,
		seconds > 0 ? (double)moved / seconds / 1e6 : 0.0);
}
