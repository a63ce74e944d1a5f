/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/lane.h"

void lane_init(struct lane *lane, struct rte_mempool *discard_pool)
{
	*lane = (struct lane){.discard_pool = discard_pool, .worker = -1};
}

void lane_drain(struct lane *lane)
{
	struct burst_account account = {0};

	if (lane->stash.n == 0)
		return;
	account.dropped[DROP_DETACHED] = stash_drop(&lane->stash, lane->stash.n);
	lane->stuck_since = 0;
	counters_publish(&lane->counters, &account);
}
