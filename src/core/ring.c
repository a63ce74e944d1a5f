/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring.h"

#include <sys/eventfd.h>

#include "core/call_watch.h"
#include "core/ring_internal.h"

uint16_t ring_take(struct ring *ring, struct rte_mempool *pool, struct rte_mbuf **ret_packets,
	uint16_t n, struct burst_account *account)
{
	if (unlikely(ring_fault(ring) != RING_SOUND))
		return 0;
	return ring->packed ? ring_packed_take(ring, pool, ret_packets, n, account)
	                    : ring_split_take(ring, pool, ret_packets, n, account);
}

uint16_t ring_give(
	struct ring *ring, struct rte_mbuf **packets, uint16_t n, struct burst_account *account)
{
	if (unlikely(ring_fault(ring) != RING_SOUND))
		return 0;
	return ring->packed ? ring_packed_give(ring, packets, n, account)
	                    : ring_split_give(ring, packets, n, account);
}

void ring_ask_to_notify(struct ring *ring, bool on)
{
	if (ring->packed)
		ring_packed_ask_to_notify(ring, on);
	else
		ring_split_ask_to_notify(ring, on);
}

bool ring_has_buffers(const struct ring *ring)
{
	return ring->packed ? ring_packed_has_buffers(ring) : ring_split_has_buffers(ring);
}

void ring_call(const struct ring *ring)
{
	call_watch_note();
	eventfd_write(ring->call_fd, 1);
}

const char *ring_fault_text(enum ring_fault fault)
{
	static const char *const texts[] = {
#define RING_FAULT(id, text) [RING_##id] = text,
		RING_FAULTS(RING_FAULT)
#undef RING_FAULT
	};

	return texts[fault];
}
