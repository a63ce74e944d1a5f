/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/top_view.h"

#define LINE_SIZE 256
#define BAR_MAX 60
#define BESIDE_BAR 66 /* columns of a worker's line outside the bar */

/* Prints lines, cut to the width, and stops at the last row. */
struct page {
	FILE *out;
	struct top_size size;
	const char *end;
	unsigned n;
};

static bool has_room(const struct page *page, unsigned rows)
{
	return page->size.rows == 0 || page->n + rows <= page->size.rows;
}

static void add_line(struct page *page, const char *text)
{
	if (!has_room(page, 1))
		return;
	fprintf(page->out, "%.*s%s", (int)page->size.columns, text, page->end);
	page->n++;
}

struct worker_view {
	unsigned n_lanes;
	bool measured;
	double busy;
	double sleep;
	bool has_waiting;
	double waiting;
};

static void add_direction(struct worker_view *view, const struct meter *meter, unsigned i,
	enum direction direction, unsigned cpu)
{
	const struct direction_stats *stats = meter_direction(&meter->now->relays[i], direction);

	for (unsigned slice = 0; slice < stats->n_slices; slice++) {
		if (meter_cpu(stats, slice) != (int)cpu)
			continue;
		view->n_lanes++;
		view->busy += meter_load(meter, i, direction, slice);
	}
}

static struct worker_view view_worker(const struct meter *meter, unsigned cpu)
{
	struct worker_view view = {};

	for (unsigned i = 0; i < meter->now->n; i++)
		for (unsigned d = 0; d < DIRECTIONS_N; d++)
			add_direction(&view, meter, i, d, cpu);
	for (unsigned i = 0; i < meter->now->n_workers; i++) {
		struct worker_rate rate = meter_worker(meter, i);

		if (meter->now->workers[i].cpu != cpu)
			continue;
		view.measured = true;
		view.busy = rate.busy;
		view.sleep = rate.sleep;
		view.has_waiting = meter->now->workers[i].has_waiting;
		view.waiting = rate.waiting;
	}
	return view;
}

static void add_worker(struct page *page, const struct meter *meter, unsigned cpu)
{
	struct worker_view view = view_worker(meter, cpu);
	unsigned room = page->size.columns > BESIDE_BAR ? page->size.columns - BESIDE_BAR : 0;
	int width = (int)MAX(MIN(room, BAR_MAX), 10);
	int filled = (int)(MIN(view.busy, 1.0) * width + 0.5);
	char line[LINE_SIZE], bar[BAR_MAX + 1], sleep[32] = "", waiting[32] = "";

	for (int i = 0; i < width; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[width] = '\0';
	if (view.measured)
		snprintf(sleep, sizeof(sleep), "  asleep %5.1f %%", view.sleep * 100);
	if (view.has_waiting)
		snprintf(waiting, sizeof(waiting), "  waiting %5.1f %%", view.waiting * 100);
	snprintf(line, sizeof(line), "CPU %4u [%s] %5.1f %%%s%s%s  %u lanes", cpu, bar,
		view.busy * 100, view.measured ? "" : " (estimate)", sleep, waiting, view.n_lanes);
	add_line(page, line);
}

static void format_lane(
	const struct meter *meter, unsigned i, enum direction direction, char ret_text[64])
{
	const struct direction_stats *stats = meter_direction(&meter->now->relays[i], direction);
	struct lane_rate rate = meter_lane(meter, i, direction);
	char place[16] = "-";
	double load = 0;

	if (stats->cpu >= 0)
		snprintf(place, sizeof(place), "%d%s", stats->cpu, stats->n_slices > 1 ? "+" : "");
	for (unsigned slice = 0; slice < stats->n_slices; slice++)
		load += meter_load(meter, i, direction, slice);
	snprintf(ret_text, 64, "%4s %6.1f %10.1f %9.1f %9.0f", place, load * 100,
		rate.packets_per_s / 1e3, rate.bytes_per_s * 8 / 1e6, rate.drops_per_s);
}

static void add_relay(struct page *page, const struct meter *meter, unsigned i)
{
	const struct relay_stats *relay = &meter->now->relays[i];
	char line[LINE_SIZE], to_vm[64], to_vf[64];

	format_lane(meter, i, VF_TO_VM, to_vm);
	format_lane(meter, i, VM_TO_VF, to_vf);
	snprintf(line, sizeof(line), "%5u  %-2s %-2s |%s |%s", relay->id,
		relay->vf_to_vm.active ? "on" : "-", relay->vm_to_vf.active ? "on" : "-", to_vm,
		to_vf);
	add_line(page, line);
}

static double packet_rate(const struct meter *meter, unsigned i)
{
	return meter_lane(meter, i, VF_TO_VM).packets_per_s +
	       meter_lane(meter, i, VM_TO_VF).packets_per_s;
}

/* Relays in use, the busiest first. */
static unsigned sort_relays(const struct meter *meter, unsigned ret_order[RELAYS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < meter->now->n; i++) {
		const struct relay_stats *relay = &meter->now->relays[i];
		unsigned at = n;

		if (!relay->vf_to_vm.active && !relay->vm_to_vf.active)
			continue;
		for (; at > 0 && packet_rate(meter, ret_order[at - 1]) < packet_rate(meter, i);
			at--)
			ret_order[at] = ret_order[at - 1];
		ret_order[at] = i;
		n++;
	}
	return n;
}

static void add_relays(struct page *page, const struct meter *meter)
{
	unsigned order[RELAYS_MAX], n = sort_relays(meter, order), shown = 0;
	char line[LINE_SIZE];

	add_line(page, "");
	snprintf(line, sizeof(line), "%13s| %-42s| VM to VF", "", "VF to VM");
	add_line(page, line);
	snprintf(line, sizeof(line), "%5s  %-2s %-2s |%4s %6s %10s %9s %9s |%4s %6s %10s %9s %9s",
		"relay", "VF", "VM", "CPU", "load %", "kpps", "Mbit/s", "drops/s", "CPU", "load %",
		"kpps", "Mbit/s", "drops/s");
	add_line(page, line);
	while (shown < n && has_room(page, n - shown > 1 ? 2 : 1))
		add_relay(page, meter, order[shown++]);
	if (shown < n) {
		snprintf(line, sizeof(line), "and %u more", n - shown);
		add_line(page, line);
	}
}

void top_view_print(FILE *out, const struct meter *meter, const struct cpu_set *workers,
	struct top_size size, const char *end)
{
	struct page page = {.out = out, .size = size, .end = end};

	CPU_SET_FOR_EACH (cpu, workers)
		add_worker(&page, meter, (unsigned)cpu);
	add_relays(&page, meter);
}
