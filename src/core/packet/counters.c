/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/packet/counters.h"

#include <sched.h>

static void add(struct atomic_tally *to, const struct tally *what)
{
	counter_add(&to->packets, what->packets);
	counter_add(&to->bytes, what->bytes);
}

void counters_publish(struct counters *counters, const struct burst_account *account)
{
	uint32_t sequence = atomic_load_explicit(&counters->sequence, memory_order_relaxed);

	atomic_store_explicit(&counters->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	if (account->received.packets != 0) {
		add(&counters->received, &account->received);
		counter_add(&counters->bursts[burst_bucket(account->received.packets)], 1);
	}
	if (account->sent.packets != 0)
		add(&counters->sent, &account->sent);
	for (unsigned i = 0; i < DROP_N; i++)
		if (account->dropped[i].packets != 0)
			add(&counters->dropped[i], &account->dropped[i]);
	atomic_store_explicit(
		&counters->backlog.packets, account->backlog.packets, memory_order_relaxed);
	atomic_store_explicit(
		&counters->backlog.bytes, account->backlog.bytes, memory_order_relaxed);
	atomic_store_explicit(&counters->sequence, sequence + 2, memory_order_release);
}

static struct tally load(const struct atomic_tally *from)
{
	return (struct tally){
		.packets = atomic_load_explicit(&from->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&from->bytes, memory_order_relaxed),
	};
}

void counters_read(const struct counters *counters, struct counters_snapshot *ret_snapshot)
{
	for (;;) {
		uint32_t before = atomic_load_explicit(&counters->sequence, memory_order_acquire);
		if (before & 1) {
			sched_yield();
			continue;
		}
		ret_snapshot->received = load(&counters->received);
		ret_snapshot->sent = load(&counters->sent);
		ret_snapshot->backlog = load(&counters->backlog);
		for (unsigned i = 0; i < DROP_N; i++)
			ret_snapshot->dropped[i] = load(&counters->dropped[i]);
		for (unsigned i = 0; i < BURST_BUCKETS; i++)
			ret_snapshot->bursts[i] =
				atomic_load_explicit(&counters->bursts[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&counters->sequence, memory_order_relaxed) == before)
			return;
	}
}
