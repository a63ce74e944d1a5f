/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/meter.h"

#include "sched/load.h"

static const struct relay_stats *find_relay(const struct stats_reply *reply, unsigned id)
{
	for (unsigned i = 0; i < reply->n; i++)
		if (reply->relays[i].id == id)
			return &reply->relays[i];
	return NULL;
}

static const struct worker_stats *find_worker(const struct stats_reply *reply, unsigned cpu)
{
	for (unsigned i = 0; i < reply->n_workers; i++)
		if (reply->workers[i].cpu == cpu)
			return &reply->workers[i];
	return NULL;
}

static bool went_back(const struct direction_stats *before, const struct direction_stats *now)
{
	return now->received.packets < before->received.packets ||
	       now->sent.packets < before->sent.packets || now->busy_ns < before->busy_ns;
}

static bool is_continuation(const struct stats_reply *before, const struct stats_reply *now)
{
	for (unsigned i = 0; i < now->n; i++) {
		const struct relay_stats *relay = &now->relays[i];
		const struct relay_stats *old = find_relay(before, relay->id);

		if (old && (went_back(&old->vf_to_vm, &relay->vf_to_vm) ||
				   went_back(&old->vm_to_vf, &relay->vm_to_vf)))
			return false;
	}
	return true;
}

bool meter_take(struct meter *meter, struct stats_reply *reply, uint64_t now_ns)
{
	bool continues = !meter->now || is_continuation(meter->now, reply);

	stats_reply_free(meter->before);
	meter->before = meter->now;
	meter->before_ns = meter->now_ns;
	if (!continues)
		meter->before = stats_reply_free(meter->before);
	meter->now = reply;
	meter->now_ns = now_ns;
	return continues;
}

void meter_reset(struct meter *meter)
{
	stats_reply_free(meter->before);
	stats_reply_free(meter->now);
	*meter = (struct meter){};
}

static uint64_t dropped(const struct direction_stats *stats)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < DROP_N; i++)
		sum += stats->dropped[i].packets;
	return sum;
}

static double per_second(const struct meter *meter, uint64_t before, uint64_t now)
{
	uint64_t passed_ns = meter->now_ns - meter->before_ns;

	return now > before && passed_ns > 0 ? (double)(now - before) * 1e9 / (double)passed_ns : 0;
}

struct lane_rate meter_lane(const struct meter *meter, unsigned i, enum direction direction)
{
	const struct relay_stats *relay = &meter->now->relays[i], *old;
	const struct direction_stats *before, *now = meter_direction(relay, direction);

	old = meter->before ? find_relay(meter->before, relay->id) : NULL;
	if (!old)
		return (struct lane_rate){};
	before = meter_direction(old, direction);
	return (struct lane_rate){
		.packets_per_s = per_second(meter, before->received.packets, now->received.packets),
		.bytes_per_s = per_second(meter, before->received.bytes, now->received.bytes),
		.drops_per_s = per_second(meter, dropped(before), dropped(now)),
		.measured = before->measured && now->measured,
		.busy = per_second(meter, before->busy_ns, now->busy_ns) / 1e9,
	};
}

static double slice_load(
	const struct meter *meter, unsigned i, enum direction direction, unsigned slice)
{
	const struct relay_stats *relay = &meter->now->relays[i], *old;
	const struct direction_stats *before;

	old = meter->before ? find_relay(meter->before, relay->id) : NULL;
	if (!old)
		return 0;
	/* A slice that was not told of before has been busy since the start of the daemon. */
	before = meter_direction(old, direction);
	if (before->n_slices < 2 || slice >= before->n_slices)
		return 0;
	return per_second(meter, before->slices[slice].busy_ns,
		       meter_direction(relay, direction)->slices[slice].busy_ns) /
	       1e9;
}

double meter_load(const struct meter *meter, unsigned i, enum direction direction, unsigned slice)
{
	struct lane_rate rate = meter_lane(meter, i, direction);

	if (meter_direction(&meter->now->relays[i], direction)->n_slices > 1)
		return slice_load(meter, i, direction, slice);
	return rate.measured ? rate.busy
	                     : load_from_rates(direction, rate.packets_per_s, rate.bytes_per_s);
}

struct worker_rate meter_worker(const struct meter *meter, unsigned i)
{
	const struct worker_stats *now = &meter->now->workers[i];
	const struct worker_stats *before =
		meter->before ? find_worker(meter->before, now->cpu) : NULL;

	if (!before)
		return (struct worker_rate){};
	return (struct worker_rate){
		.busy = per_second(meter, before->busy_ns, now->busy_ns) / 1e9,
		.sleep = per_second(meter, before->sleep_ns, now->sleep_ns) / 1e9,
		.waiting = per_second(meter, before->waiting_ns, now->waiting_ns) / 1e9,
	};
}
