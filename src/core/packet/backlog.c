/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/backlog.h"

#include <assert.h>

static uint16_t take_slot(struct backlog *backlog)
{
	uint16_t slot = backlog->unused;

	if (slot != NO_SLOT)
		backlog->unused = backlog->next[slot];
	else
		slot = ++backlog->n_slots;
	assert(slot <= BACKLOG_BUFFERS);
	return slot;
}

bool backlog_append(
	struct backlog *backlog, unsigned number, struct rte_mbuf *packet, uint16_t budget)
{
	struct backlog_queue *queue = &backlog->queues[number];

	if (backlog_is_full(backlog, number, budget, packet->nb_segs))
		return false;
	uint16_t slot = take_slot(backlog);
	backlog->packets[slot] = packet;
	backlog->next[slot] = NO_SLOT;
	if (queue->first == NO_SLOT)
		queue->first = slot;
	else
		backlog->next[queue->last] = slot;
	queue->last = slot;
	queue->n_buffers += packet->nb_segs;
	backlog->n_buffers += packet->nb_segs;
	count_packet(&backlog->total, packet->pkt_len);
	backlog->waiting |= 1u << number;
	return true;
}

uint16_t backlog_peek(
	const struct backlog *backlog, unsigned queue, struct rte_mbuf **ret_packets, uint16_t n)
{
	uint16_t slot = backlog->queues[queue].first, found = 0;

	for (; slot != NO_SLOT && found < n; slot = backlog->next[slot])
		ret_packets[found++] = backlog->packets[slot];
	return found;
}

void backlog_take(struct backlog *backlog, unsigned number, uint16_t n)
{
	struct backlog_queue *queue = &backlog->queues[number];

	for (; n > 0; n--) {
		uint16_t slot = queue->first;
		const struct rte_mbuf *packet = backlog->packets[slot];
		queue->n_buffers -= packet->nb_segs;
		backlog->n_buffers -= packet->nb_segs;
		backlog->total.packets--;
		backlog->total.bytes -= packet->pkt_len;
		queue->first = backlog->next[slot];
		backlog->next[slot] = backlog->unused;
		backlog->unused = slot;
	}
	if (queue->first == NO_SLOT)
		backlog->waiting &= ~(1u << number);
}

struct tally backlog_drop(struct backlog *backlog, unsigned queue)
{
	struct tally dropped = {0};
	struct rte_mbuf *packet;

	while (backlog_peek(backlog, queue, &packet, 1) == 1) {
		backlog_take(backlog, queue, 1);
		count_and_free(&dropped, packet);
	}
	return dropped;
}
