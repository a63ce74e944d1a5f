/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/ring.h"

#include <rte_cycles.h>
#include <sys/eventfd.h>
#include <time.h>

#include "core/ring/call_watch.h"
#include "core/ring/ring_internal.h"

#define LOOK_NS 50000 /* between two looks at whether the device has sent a loan */

/* Counts what a burst has added to a total of its account. */
static inline void count_packets(struct ring *ring, uint64_t total, uint64_t total_before)
{
	if (total != total_before)
		counter_add(&ring->n_packets, total - total_before);
}

static uint16_t take(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account)
{
	if (unlikely(ring->loans != NULL))
		return ring->packed ? ring_packed_lend(ring, pool, lender, ret_packets, n, account)
		                    : ring_split_lend(ring, pool, lender, ret_packets, n, account);
	return ring->packed ? ring_packed_take(ring, pool, ret_packets, n, account)
	                    : ring_split_take(ring, pool, ret_packets, n, account);
}

uint16_t ring_take(struct ring *ring, struct rte_mempool *pool, struct lender *lender,
	struct rte_mbuf **ret_packets, uint16_t n, struct burst_account *account)
{
	const uint64_t before = account->received.packets;

	if (unlikely(ring_fault(ring) != RING_SOUND))
		return 0;
	n = take(ring, pool, lender, ret_packets, n, account);
	count_packets(ring, account->received.packets, before);
	return n;
}

static bool await_end(const struct loan *loan, uint64_t deadline)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};

	while (atomic_load_explicit(&loan->out, memory_order_acquire)) {
		if (rte_rdtsc() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

void ring_show_held(struct ring *ring)
{
	if (ring->held.n > 0 && ring_fault(ring) == RING_SOUND)
		ring_split_show_held(ring);
}

void ring_end(struct ring *ring, uint64_t deadline)
{
	struct ring_loans *loans = ring->loans;
	bool sent = true;

	if (loans == NULL) {
		ring_show_held(ring);
		return;
	}
	const uint16_t n = loans->unsent ? LOANS_MAX : loans->n;
	for (uint16_t i = 0; i < n; i++)
		sent &= await_end(ring_loan(loans, i), deadline);
	loans->unsent = !sent;
	if (ring_fault(ring) == RING_SOUND)
		(ring->packed ? ring_packed_give_back_all : ring_split_give_back_all)(ring);
	loans->first += loans->n;
	loans->n = loans->slots = 0;
}

uint16_t ring_give(struct ring *ring, bool past_cache, struct rte_mbuf **packets, uint16_t n,
	struct burst_account *account)
{
	const uint64_t before = account->sent.packets;

	if (unlikely(ring_fault(ring) != RING_SOUND))
		return 0;
	ring->past_cache = past_cache;
	n = ring->packed ? ring_packed_give(ring, packets, n, account)
	                 : ring_split_give(ring, packets, n, account);
	count_packets(ring, account->sent.packets, before);
	return n;
}

void ring_ask_to_notify(struct ring *ring, bool on)
{
	if (on)
		ring_show_held(ring); /* the worker may not come back for a long time */
	if (ring->packed)
		ring_packed_ask_to_notify(ring, on);
	else
		ring_split_ask_to_notify(ring, on);
}

void ring_call(struct ring *ring)
{
	counter_add(&ring->n_calls, 1);
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
