/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/observer.h"

#include <string.h>

#include "host/numa.h"
#include "host/sysfs.h"

static void add_samples(struct observer *observer, unsigned i, enum direction direction)
{
	const struct relay_stats *relay = &observer->meter.now->relays[i];
	const struct direction_stats *stats = meter_direction(relay, direction);
	struct load_estimate *estimates = observer->estimates[relay->id][direction];

	for (unsigned slice = 0; slice < SLICES_MAX; slice++) {
		if (stats->cpu < 0 || slice >= stats->n_slices)
			estimates[slice] = (struct load_estimate){};
		else
			load_estimate_add(&estimates[slice],
				meter_load(&observer->meter, i, direction, slice));
	}
}

bool observer_take(struct observer *observer, const struct cpu_set *workers,
	struct stats_reply *reply, uint64_t now_ns)
{
	bool same_workers =
		!observer->meter.now || memcmp(workers, &observer->workers, sizeof(*workers)) == 0;
	bool continues = meter_take(&observer->meter, reply, now_ns) && same_workers;

	observer->workers = *workers;
	if (!continues) {
		observer->meter.before = stats_reply_free(observer->meter.before);
		memset(observer->estimates, 0, sizeof(observer->estimates));
	} else if (meter_has_rates(&observer->meter)) {
		for (unsigned i = 0; i < reply->n; i++)
			for (unsigned d = 0; d < DIRECTIONS_N; d++)
				add_samples(observer, i, d);
	}
	return continues;
}

void observer_reset(struct observer *observer)
{
	meter_reset(&observer->meter);
	*observer = (struct observer){};
}

/* The daemon knows best; otherwise sysfs will do, since it runs on this machine. */
static int node_of(const struct stats_reply *reply, unsigned cpu)
{
	for (unsigned i = 0; i < reply->n_workers; i++)
		if (reply->workers[i].cpu == cpu)
			return reply->workers[i].numa_node;
	return host_numa_node_of_cpu(SYSFS_ROOT, cpu);
}

static void look_at_workers(const struct observer *observer, struct sched_input *input)
{
	input->n_workers = 0;
	CPU_SET_FOR_EACH (cpu, &observer->workers)
		if (input->n_workers < WORKERS_MAX)
			input->workers[input->n_workers++] = (struct sched_worker){
				.cpu = (unsigned)cpu,
				.numa_node = node_of(observer->meter.now, (unsigned)cpu),
			};
}

static void look_at_lane(const struct observer *observer, const struct relay_stats *relay,
	enum direction direction, unsigned slice, struct sched_input *input)
{
	const struct direction_stats *stats = meter_direction(relay, direction);
	for (unsigned worker = 0; worker < input->n_workers; worker++)
		if ((int)input->workers[worker].cpu == meter_cpu(stats, slice))
			input->lanes[input->n_lanes++] = (struct sched_lane){
				.relay_id = relay->id,
				.direction = direction,
				.slice = slice,
				.n_slices = stats->n_slices,
				.worker = worker,
				.load = observer->estimates[relay->id][direction][slice].mean,
				.numa_node = relay->numa_node,
				.pinned = stats->pinned,
			};
}

static void look_at_relay(
	const struct observer *observer, const struct relay_stats *relay, struct sched_input *input)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		for (unsigned slice = 0; slice < meter_direction(relay, d)->n_slices; slice++)
			look_at_lane(observer, relay, d, slice, input);
}

bool observer_look(const struct observer *observer, struct sched_input *ret_input)
{
	const struct stats_reply *now = observer->meter.now;

	if (!meter_has_rates(&observer->meter))
		return false;
	look_at_workers(observer, ret_input);
	ret_input->n_lanes = 0;
	for (unsigned i = 0; i < now->n; i++)
		look_at_relay(observer, &now->relays[i], ret_input);
	return ret_input->n_workers > 0;
}
