/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/tap.h"

#include <rte_mbuf.h>
#include <string.h>

#include "base/capture.h"
#include "base/clock.h"

/* Copies to a position of the ring, across its end if need be. */
static void put(struct capture_ring *ring, uint64_t position, const void *data, uint32_t length)
{
	uint32_t at = position % CAPTURE_RING_BYTES;
	uint32_t first = MIN(length, CAPTURE_RING_BYTES - at);

	memcpy(ring->data + at, data, first);
	memcpy(ring->data, (const uint8_t *)data + first, length - first);
}

static void put_packet(struct capture_ring *ring, uint64_t position, const struct rte_mbuf *packet,
	uint32_t length)
{
	for (; packet != NULL && length > 0; packet = packet->next) {
		uint32_t part = MIN(length, (uint32_t)packet->data_len);

		put(ring, position, rte_pktmbuf_mtod(packet, const void *), part);
		position += part;
		length -= part;
	}
}

void tap_packets(struct tap *tap, struct rte_mbuf *const *packets, uint16_t n)
{
	struct capture_ring *ring = tap->ring;
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	uint64_t now_ns = clock_realtime_ns();

	for (uint16_t i = 0; i < n; i++) {
		struct capture_record record = {
			.time_ns = now_ns,
			.length = packets[i]->pkt_len,
			.kept = MIN(packets[i]->pkt_len, tap->snaplen),
		};
		uint64_t bytes = capture_record_bytes(record.kept);

		if (tap->head - tail > CAPTURE_RING_BYTES - bytes) {
			tap->lost++;
			continue;
		}
		put(ring, tap->head, &record, sizeof(record));
		put_packet(ring, tap->head + sizeof(record), packets[i], record.kept);
		tap->head += bytes;
	}
	atomic_store_explicit(&ring->lost, tap->lost, memory_order_relaxed);
	atomic_store_explicit(&ring->head, tap->head, memory_order_release);
}
