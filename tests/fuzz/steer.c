/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steering of packets by flow: four bytes of enabled queues, four lengths of pieces, the
 * packet. Its queue must be an enabled one, and the same however the packet is divided into pieces.
 */
#include "core/packet/steer.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct packet whole, cut;
	struct steer steer;
	uint8_t lengths[4];
	uint32_t enabled;

	input_bytes(&input, &enabled, sizeof(enabled));
	input_bytes(&input, lengths, sizeof(lengths));
	if (enabled == 0 || input.left > UINT16_MAX)
		return 0;
	steer_set(&steer, enabled);
	struct rte_mbuf *one = packet_make(&whole, input.at, input.left, NULL, 0);
	struct rte_mbuf *other = packet_make(&cut, input.at, input.left, lengths, 4);
	unsigned queue = steer_queue(&steer, one);
	require(queue < 32 && enabled & 1u << queue);
	require(steer_queue(&steer, other) == queue);
	for (unsigned i = 0; i < STEER_BUCKETS; i++)
		require(enabled & 1u << steer.queue_of_bucket[i]);
	packet_free(&whole);
	packet_free(&cut);
	return 0;
}
